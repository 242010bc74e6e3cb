"""What mail programs write around a person's words, in English, French, Dutch, German, Spanish, Italian and Danish.

Data only: alternatives of regular expressions, without groups that count, for text in lower case or matched without
regard to case. Names of fields are plain words, each with the field it stands for.
"""

from __future__ import annotations

#: "wrote", as it stands at the end, or before the name, of a line like "On 14 July 2026 at 10:05, Ann wrote:".
WROTE = "|".join(
    (
        "wrote",
        "writes",
        r"a [ée]crit",
        r"[ée]crivait",
        r"[ée]crit",
        "schreef",
        "schrijft",
        "het volgende geschreven",
        "geschreven",
        "schrieb",
        "schriebst",
        "schrieben",
        "schreibt",
        "folgendes geschrieben",
        "geschrieben",
        r"escribi[óo]",
        "escribe",
        "ha scritto",
        "scrisse",
        "scrive",
        "skrev",
        "skriver",
    )
)

#: What such a line begins with where it begins with a date.
ON_DAY = "|".join(
    (
        "on",
        "le",
        "op",
        "am",
        "vom",
        "el",
        "en",
        "il(?: giorno)?|in data",
        "at",
        "den",
        "d[.]",
        r"\d",
        "(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun",
        "(?:lun|mar|mercre|jeu|vendre|same)di|dimanche|lun|mar|mer|jeu|ven|sam|dim",
        "(?:maan|dins|woens|donder|vrij|zater|zon)dag|ma|di|wo|do|vr|za|zo",
        "(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|mo|mi|fr|sa|so",
        "lunes|martes|mi[ée]rcoles|jueves|viernes|s[áa]bado|domingo|mi[ée]|jue|vie|s[áa]b|dom",
        "(?:luned|marted|mercoled|gioved|venerd)[ìi]|sabato|domenica|gio",
        "(?:man|tirs|ons|tors|fre|lør|søn)dag|man|tirs?|ons|tors?|fre|lør|søn",
    )
)

#: Months, long or short, without the dot some end with.
MONTHS = "|".join(
    (
        "jan(?:uary|vier|uari|uar|ner)?|january|enero|ene|gennaio|gen",
        "feb(?:ruary|ruari|ruar|rero|braio|br)?|f[ée]v(?:r|rier)?",
        "mar(?:ch|s|zo)?|maart|mrt|m[äa]rz|mär",
        "apr(?:il|ile)?|avr(?:il)?|abr(?:il)?",
        "may|mai|mei|maj|mayo|maggio|mag",
        "june?|juin|juni|junio|giugno|giu",
        "july?|juil(?:let)?|juli|julio|luglio|lug",
        "aug(?:ust|ustus)?|ao[ûu]t|agosto|ago",
        "sept?(?:ember|embre|tiembre)?|settembre|set",
        "o[ck]t(?:ober|obre|ubre)?|ottobre|ott",
        "nov(?:ember|embre|iembre)?",
        "d[ée][czk](?:ember|embre)?|dez(?:ember)?|diciembre|dic(?:embre)?",
    )
)

#: What some programs write in the place of "Ann wrote:".
QUOTING = "|".join(("quoting", "zitat von", "citeren", "citando(?: a)?", "citerer", "citation de", "quoto"))

#: The words between the dashes of "-----Original Message-----", and of a forwarded mail.
ORIGINAL = "|".join(
    (
        "(?:original|forwarded|reply|fwd) message",
        "original appointment",
        "message (?:d['’]origine|original|transf[ée]r[ée]|initial|r[ée]exp[ée]di[ée])",
        "mail original",
        "rendez-vous d['’]origine",
        "(?:oorspronkelijk|origineel|doorgestuurd) bericht",
        "oorspronkelijke afspraak",
        "urspr[üu].{0,12} (?:nachricht|termin)",
        "(?:weitergeleitete|antwort) ?(?:nachricht|mail|e-mail)",
        "original ?nachricht",
        "mensaje (?:original|reenviado)",
        "cita original",
        "messaggio (?:originale|inoltrato)",
        "appuntamento originale",
        "(?:oprindelig|original|videresendt) (?:meddelelse|besked|mail)",
        "oprindelig aftale",
    )
)

#: The line of its own above a mail that Apple's programs forward, without its colon.
BEGIN_FORWARDED = "|".join(
    (
        "begin forwarded message",
        "d[ée]but du message (?:r[ée]exp[ée]di[ée]|transf[ée]r[ée])",
        "begin doorgestuurd bericht",
        "anfang der weitergeleiteten (?:nachricht|e-mail)",
        "inicio del mensaje reenviado",
        "inizio messaggio inoltrato",
        "start på videresendt besked",
    )
)

#: Names of fields of a mail written out in the text of another, by what they name.
FIELD_NAMES = {
    "from": ("from", "von", "de", "van", "da", "fra", "expéditeur", "afzender", "absender", "remitente", "mittente"),
    "date": ("date", "received", "datum", "reçu", "fecha", "data", "dato"),
    "sent": (
        *("sent", "sent at", "gesendet", "gesendet am", "envoyé", "envoyé le", "date d'envoi", "verzonden"),
        *("verzonden op", "enviado", "enviado el", "enviados", "inviato", "inviato il", "sendt", "sendt den"),
    ),
    "to": ("to", "an", "à", "pour", "aan", "para", "a", "per", "til", "destinataire", "destinatario", "empfänger"),
    "cc": ("cc", "bcc", "cci", "kopie", "kopi", "copie", "copie à", "copia", "cco", "ccn", "blindkopie"),
    "subject": ("subject", "betreff", "objet", "sujet", "onderwerp", "asunto", "oggetto", "emne"),
    "other": (
        *("importance", "priority", "reply-to", "attachments", "sender", "organization", "organisation", "in-reply-to"),
        *("wichtigkeit", "priorität", "anlagen", "anhänge", "antwort an", "pièces jointes", "pièce jointe", "priorité"),
        *("répondre à", "bijlagen", "bijlage", "prioriteit", "urgentie", "antwoorden aan", "adjuntos", "importancia"),
        *(
            "prioridad",
            "responder a",
            "allegati",
            "priorità",
            "rispondi a",
            "vedhæftede filer",
            "prioritet",
            "svar til",
        ),
    ),
}

#: How a line begins that a program or a telephone writes below each mail.
SENT_FROM = "|".join(
    (
        "(?:sent )?from|sent (?:using|with|via|by)|this (?:mail|e-?mail|message) was sent (?:from|with|using)",
        "envoy[ée] (?:de|depuis|à partir de|avec|via|gr[âa]ce à|d['’])|ce (?:message|courriel"
        "|mail) a [ée]t[ée] envoy[ée]"
        " (?:de|depuis|avec)",
        "(?:verstuurd|verzonden|gestuurd) (?:vanaf|met|van|vanuit|via)",
        "gesendet (?:von|mit|über|aus|via|vom)",
        "enviado (?:desde|con|a trav[ée]s de|mediante)",
        "inviato (?:da|dal|dalla|con|tramite|via)",
        "sendt (?:fra|med|via)",
    )
)

#: Words between that and the device: "my", "a", "the".
MY = (
    "my|an?|the|mon|ma|un|une|le|la|mijn|een|het|de|mein|meinem|meiner|einem|dem|der|mi|el|mio|mia|il|l['’]|min|mit"
    "|en|et"
)

#: Devices, and words that go with their names.
DEVICES = "|".join(
    (
        "iphone|ipad|ipod|ios|android|samsung|galaxy|huawei|xiaomi|redmi|pixel|oneplus|nokia|xperia|htc|motorola|oppo",
        "honor|fairphone|blackberry|macbook|mac|windows|surface|apple watch|wireless|handheld|handset",
        "smartphone|mobilephone|phone|cell|mobile|mobil|mobiel|m[óo]vil|portable|t[ée]l[ée]phone|telefoon|telefon",
        "tel[ée]fono|mobiltelefon|mobieltje|cellulare|gsm|handy|tablet|tablette|device|toestel|apparaat|ger[äa]t"
        "|appareil",
        "dispositivo|enhed|mobilger[äa]t",
    )
)

#: Mail programs and services, by names that are nothing else's.
APPS = "|".join(
    (
        "outlook|yahoo(?: mail)?|proton ?mail|proton|gmail|hotmail|aol|airmail|mailspring|k-9 mail|k-9|fairemail",
        "thunderbird|blue ?mail|gmx(?: mail)?|web[.]de(?: mail)?|tuta(?:nota)?|laposte|libero mail|virgilio mail",
        "telekom mail|t-online|freenet mail|zoho mail|icloud|fastmail|samsung e-?mail|mailbox|windows mail|mail orange",
        "(?:mail|courrier|correo|posta) (?:for|pour|voor|für|para|per|til) windows(?: 10| 11)?",
    )
)

#: What may follow such a name.
APP_TAIL = (
    "on|op|auf|sur|su|på|en|for|pour|voor|für|para|per|til|app|mail|mobile|email|e-mail|secure|secured|encrypted"
    "|sicherer"
    "|verschlüsselter|beveiligde|sikker|seguro|sicura"
)

#: What people add to such a line.
EXCUSE = (
    "please|excuse|sorry|pardon|apolog|typo|brief|veuillez|d[ée]sol|merci d|beknopt|typfout|entschuldig|kürze"
    "|tippfehler"
    "|por favor|disculp|perd[óo]n|scus|undskyld|kort"
)

#: A line that sells a program, after its first word and before its link.
GET_APP = (
    "(?:(?:get|download|t[ée]l[ée]charge[rz]|obten[ie][rz]|obtener|obtenga|descargar?|scarica|ottieni|ottenere|hent|få"
    "|holen sie sich|laden sie|try) )?(?:the )?(?:outlook|blue ?mail|yahoo mail|spark|proton mail)"
    " (?:for|pour|voor|für|para|per|til|op) (?:ios|android|mac|windows)"
)

#: A whole line, its last comma aside, that closes a letter.
CLOSING = "|".join(
    (
        "(?:(?:with )?(?:best|kind|kindest|warm|warmest|many) )?regards",
        "best(?: wishes)?|cheers|many thanks|thanks(?: and regards)?|thank you|all the best|sincerely(?: yours)?"
        "|yours (?:sincerely|faithfully|truly)|take care",
        "(?:bien )?(?:à vous|cordialement|amicalement|à toi)|salutations(?: distingu[ée]es)?|sinc[èe]res salutations"
        "|meilleures salutations|cordiales salutations|bonne (?:journ[ée]e|soir[ée]e|r[ée]ception)"
        "|merci(?: d['’]avance)?"
        "|bises|amiti[ée]s|respectueusement",
        "(?:met )?(?:vriendelijke|hartelijke|beste|warme|lieve|veel) groet(?:en|jes)?|groet(?:en|jes)?|hoogachtend|mvg"
        "|(?:alvast )?bedankt|met dank|dank u(?: wel)?|tot (?:snel|binnenkort|dan)",
        "(?:mit )?(?:freundlichen?|besten?|herzlichen?|liebe|lieben|viele|vielen|schöne|sonnigen?) gr(?:ü|ue)(?:ß"
        "|ss)en?"
        "|(?:mit )?(?:freundlichem|bestem|herzlichem|liebem) gru(?:ß|ss)|gru(?:ß|ss)|gr(?:ü|ue)(?:ß|ss)e|mfg|lg|vg"
        "|hochachtungsvoll|(?:vielen |besten |herzlichen )?dank|danke",
        "(?:un )?(?:cordial |cordiales |atentos )?saludos?|atentamente|(?:muchas )?gracias|cordialmente|un abrazo"
        "|abrazos",
        "(?:cordiali|distinti|cari|tanti|migliori) saluti|saluti|cordialmente|grazie(?: mille)?|a presto|un saluto",
        "(?:(?:med )?(?:venlig|venlige|kærlig|kærlige|bedste|mange|de bedste) )?hilsen(?:er)?|hilsner|mvh|vh|dbh|kh"
        "|(?:mange )?tak|på forhånd tak|knus",
    )
)

#: Words that say below an answer's first words where the rest of it stands.
ANSWERS_BELOW = "|".join(
    (
        r"(?:(?:see|my|answers?|comments?|repl(?:y|ies)|responses?|notes?) (?:[a-z]+ ){0,4}"
        r"(?:below|in-?line|in (?:red|blue|green|bold|the text)))|\b(?:inline|in-line)\b",
        r"(?:voir|mes|r[ée]ponses?|commentaires?|remarques?) (?:\w+ ){0,5}(?:ci-dessous|en (?:rouge|bleu|vert|gras)"
        r"|dans le (?:texte|corps))",
        r"(?:zie|mijn|antwoord(?:en)?|opmerkingen|commentaar) (?:\w+ ){0,4}(?:hieronder|onder|onderaan"
        r"|in (?:het )?(?:rood|blauw|groen|vet|de tekst))",
        r"(?:siehe|meine|antwort(?:en)?|anmerkungen|kommentare?) (?:\w+ ){0,4}(?:unten|weiter unten|unterhalb|im text"
        r"|in (?:rot|blau|grün|fett))",
        r"(?:ver|vea|mis|respuestas?|comentarios?|respondo|contesto) (?:\w+ ){0,4}(?:abajo|m[áa]s abajo|debajo"
        r"|en (?:rojo|azul|verde|negrita|el texto))",
        r"(?:vedi|le mie|risposte|risposta|commenti|rispondo) (?:\w+ ){0,4}(?:sotto|di seguito|qui sotto|nel testo"
        r"|in (?:rosso|blu|verde|grassetto))",
        r"(?:se|mine|svar|kommentarer) (?:\w+ ){0,4}(?:nedenfor|herunder|nedenunder|i teksten"
        r"|med (?:rødt|blåt|grønt|fed))",
    )
)

#: What programs put before the subject of an answer, without its colon; some count.
REPLIED_SUBJECT = "|".join(
    (
        "re|res|reply",
        "r[ée]p(?:onse)?|ré",
        "antw(?:oord)?|betr",
        "aw|antwort",
        "resp(?:uesta)?",
        "r|rif|risp?(?:osta)?",
        "sv|svar",
        "odp|ynt|回复|答复|返信",
    )
)

#: The same of a mail passed on.
FORWARDED_SUBJECT = "|".join(
    (
        "fwd?|forward(?:ed)?",
        "tr|transf(?:[ée]r[ée])?",
        "doorst(?:uren|\\.)?|doorgestuurd",
        "wg|weitergeleitet",
        "rv|reenv(?:[íi]o|iado)?|enc",
        "i|inoltr(?:o|ato)?",
        "vs|vb|videresendt|vl|pd|转发|転送",
    )
)
