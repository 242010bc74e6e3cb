"""What organisations and their servers write around a mail: disclaimers, warnings, list footers, virus scanners' lines.

A paragraph goes only where it says several of the things such texts say, and begins as they begin: a person who asks to
keep a message confidential keeps it.
"""

from __future__ import annotations

import re

from filters import paragraphs

#: How a paragraph of a disclaimer begins, at the start of a line.
_OPENING = re.compile(
    r"[\s*_\"'(\[]{0,6}(?:"
    r"th(?:is|e|ese) (?:(?:information|contents?|material|text) )?(?:\w+ ){0,6}(?:e-?mail|message|communication"
    r"|transmission"
    r"|mail|information|contents?|document)|disclaimer|(?:confidential|legal|privacy|privileged|important)\w* (?:notice"
    r"|note|information|disclaimer|statement)|confidential(?:ity)?\b|if you (?:are not|have received|received|receive)"
    r"|any (?:unauthori[sz]ed|review|use|disclosure)|notice:"
    r"|(?:ce|cet|cette|le|les|l['’])\s?(?:pr[ée]sente?s? )?(?:message|courriel|e-?mail|mail|courrier|contenu"
    r"|informations?|m[ée]l)"
    r"|si vous (?:n['’][êe]tes|avez re[çc]u|recevez)|avertissement|avis (?:de confidentialit[ée]|l[ée]gal)|clause de"
    r"|toute (?:utilisation|diffusion|publication)|confidentialit[ée]"
    r"|(?:dit|deze|de) (?:\w+ ){0,5}(?:bericht|e-?mail|mail|informatie|inhoud|elektronisch)|indien u|als u (?:niet"
    r"|dit|deze)"
    r"|vertrouwelijk"
    r"|(?:diese|dieses|die|der) (?:\w+ ){0,5}(?:e-?mail|mail|nachricht|mitteilung|information|informationen|inhalt)"
    r"|(?:wenn|falls|sollten) sie|(?:rechtlicher|wichtiger) hinweis|vertraulich|haftungsausschluss"
    r"|(?:este|el|la|esta|los) (?:\w+ ){0,5}(?:mensaje|correo|e-?mail|mail|comunicaci[óo]n|informaci[óo]n|contenido)"
    r"|si (?:usted |ud[.] |vd[.] )?(?:no es|ha recibido|lo ha recibido|recibe)|aviso (?:legal|de confidencialidad)"
    r"|(?:advertencia|cl[áa]usula) "
    r"|(?:questo|questa|il|la|le|i) (?:\w+ ){0,5}(?:messaggio|e-?mail|mail|comunicazione|informazioni|contenut\w)"
    r"|(?:se|qualora) (?:non |avete |ha |lei |abbiate |il |la |aveste )|(?:avviso|nota) (?:di|legale|sulla)"
    r"|ai sensi d|avvertenz\w"
    r"|denne (?:\w+ ){0,4}(?:e-?mail|mail|meddelelse|besked)|hvis (?:du|de) (?:ikke|har|ved en fejl|modtager)|fortrolig"
    r"|(?:informationen|indholdet|oplysningerne) i"
    r")",
    re.IGNORECASE,
)

#: The things disclaimers say; three different ones make a disclaimer.
_SAYINGS = tuple(
    re.compile(saying, re.IGNORECASE)
    for saying in (
        # It is secret.
        r"confiden[tc]i|privileged|vertrouwelijk|vertraulich|fortrolig|riservat|rechtlich gesch[üu]tzt|secreto"
        r"|priv[ée]e?s?\b",
        # It is for one only.
        r"intended (?:only |solely |recipient|for|addressee)|(?:solely|only|exclusively) for (?:the )|addressee"
        r"|named recipient"
        r"|destinataire|destin[ée]e?s? (?:exclusivement|uniquement)|usage exclusif|geadresseerde|bestemd voor|ontvanger"
        r"|adressat|empf[äa]nger|bestimmt|destinatari|destinad|dirig|indirizzat|modtager|tiltænkt|beregnet",
        # It came to the wrong one.
        r"in error|by mistake|mistakenly|par erreur|n['’][êe]tes pas|ten onrechte|per (?:vergissing|abuis)|abusievelijk"
        r"|niet de (?:bedoelde|geadresseerde)|irrt[üu]mlich|versehentlich|nicht der|por error|no es (?:usted )?el"
        r"|equivocad"
        r"|per errore|non (?:siete|[èe]|siate)|erroneamente|ved en fejl|fejlagtigt|ikke er (?:den|rette)",
        # Tell us.
        r"notify|inform (?:the sender|us)|contact the sender|advise the sender|reply to (?:the sender|this)|avertir"
        r"|informer"
        r"|avise[rz]|pr[ée]venir|signaler|verwittig|op de hoogte|te melden|informeren|contact op|informieren"
        r"|benachrichtig"
        r"|verst[äa]ndig|notifi|comun[ií]|informe|avvis|informar|avvert|underret|give besked|kontakt(?:e)? afsender"
        r"|meddel",
        # Destroy it.
        r"delet|destroy|eras|d[ée]truire|supprimer|effacer|verwijder|vernietig|l[öo]sch|vernicht|elimin|b[óo]rr|destru"
        r"|cancell|distrugg|slet|destruer",
        # Do not use it.
        r"unauthori[sz]ed|strictly prohibited|disclos|dissemination|distribut|copying|may not be|interdit|diffusion"
        r"|divulgation|reproduction|openbaarmaking|verboden|verspreid|niet toegestaan|kopi[ëe]ren|verbreitung"
        r"|weitergabe"
        r"|unzul[äa]ssig|nicht gestattet|unbefugt|prohib|divulgaci|copia|reproducci|vietat|diffusione|divulgazione"
        r"|proibit"
        r"|forbudt|videregivelse|uberettiget|kopiering|offentligg",
        # We answer for nothing.
        r"liab|responsib|warrant|viruse?s|responsabilit|aansprakelijk|haftung|haftet|responsabilidad|responsabilit"
        r"|ansvar",
    )
)
#: How many of them make a disclaimer of a text of some length, and how long one is that nobody writes by hand.
_ENOUGH, _SURE = 3, 140
#: How much of a paragraph is looked at: lines, characters.
_LOOKED_AT, _LOOKED_AT_CHARACTERS = 40, 6000
_LONGEST_TITLE = 80

_TITLE = re.compile(
    r"[\s*_=~#-]*(?:disclaimer|(?:confidentiality|legal|privacy|important) (?:notice|note|disclaimer)"
    r"|avis de confidentialit[ée]"
    r"|avertissement|vertrouwelijkheid|rechtlicher hinweis|wichtiger hinweis|aviso (?:legal|de confidencialidad)"
    r"|avviso di riservatezza|fortrolighed|confidentialit[ée]|\W{3,})?[\s*_=:~#-]*\Z",
    re.IGNORECASE,
)

_MAIL = (
    r"(?:e-?mails?|mails?|messages?|courriels?|courriers?(?: [ée]lectroniques?)?|berichten|bericht|nachricht|correos?"
    r"(?: electr[óo]nicos?)?|mensajes?|messaggio|meddelelse|besked)"
)
#: Whole lines that ask not to print a mail.
_ENVIRONMENT = re.compile(
    r"\W{0,4}(?:"
    rf"(?:please )?(?:consider|think of|think about|respect) (?:the|our) (?:environment"
    rf"|planet).{{0,40}}print\w*(?: out)?"
    rf"(?: (?:this|the|your) {_MAIL})?|(?:please )?think before (?:you )?print(?:ing)?"
    rf"|(?:merci de |veuillez )?pense[rz] (?:à|a) l['’]environnement.{{0,40}}imprimer(?: (?:ce|cet|le|votre) {_MAIL})?"
    rf"|n['’]imprimez ce {_MAIL} que si.{{0,40}}"
    rf"|(?:denk|gelieve te denken) aan het milieu.{{0,20}} (?:deze|dit|je|uw) {_MAIL} (?:te )?(?:afdrukt|print|printen)"
    rf"|print deze {_MAIL} (?:enkel|alleen|niet).{{0,40}}"
    rf"|(?:bitte )?(?:denken sie an die|schonen sie die|der) umwelt.{{0,40}} (?:diese {_MAIL} )?(?:drucken|ausdrucken)"
    rf"|(?:por favor,? )?(?:piense en|considere|cuide) el (?:medio ?ambiente).{{0,30}}imprimir(?: (?:este|el) {_MAIL})?"
    rf"|(?:per favore,? )?prima di stampare(?: quest[ao] {_MAIL})?,? pens\w+ all['’]ambiente"
    rf"|(?:per favore,? )?pens\w+ all['’]ambiente prima di stampare(?: quest[ao] {_MAIL})?"
    rf"|(?:tænk (?:venligst )?på|skån) miljøet.{{0,20}} (?:printer|udskriver)(?: denne {_MAIL})?"
    r")\W*\Z",
    re.IGNORECASE,
)
#: Whole lines of virus scanners, and of servers that know the sender too little.
_SCANNED = re.compile(
    r"\W{0,4}(?:"
    r"(?:virus-?free|garanti sans virus|virusvrij|virenfrei|libre de virus|privo di virus|virusfri)[.\s]{0,3}"
    r"(?:<?https?://\S{0,200}>?|www[.]avast[.]com.{0,200})?\s*\Z"
    r"|(?:this (?:e-?mail|message) has been (?:checked|scanned) for virus|diese e-?mail wurde .{0,40}auf viren"
    r"|deze e-?mail is .{0,30}(?:gecontroleerd|gescand) op virus|l['’]absence de virus dans ce|el software de antivirus"
    r"|questa e-?mail [èe] stata (?:controllata|esaminata).{0,30}virus"
    r"|denne e-?mail (?:er|blev) (?:kontrolleret|scannet) for virus).{0,160}\Z"
    r"|you don['’]t often get e-?mail from |some people who received this message don['’]t often get e-?mail from "
    r"|vous n['’](?:obtenez|recevez) pas souvent d['’]e-?mail |(?:u|je) ontvangt? niet vaak e-?mail van "
    r"|sie erhalten nicht (?:h[äa]ufig|oft) (?:eine )?e-?mails? von |no (?:suele|acostumbra a) recibir correo"
    r"|non si ricevono spesso (?:messaggi|e-?mail)|du (?:får|modtager) ikke ofte (?:e-?)?mails? fra "
    r")",
    re.IGNORECASE,
)

#: The warning a server puts above what came from outside.
_WARNING = re.compile(
    r"[\W_]{0,8}(?:caution|warning|attention|external|alert|notice|be careful|this (?:e-?mail|message) (?:originated"
    r"|came|is from)"
    r"|avertissement|e-?mail externe|message externe|cet e-?mail provient|ce message provient|let op|opgelet"
    r"|waarschuwing"
    r"|externe (?:e-?mail|mail)|deze e-?mail (?:komt|is) |achtung|vorsicht|warnung|diese e-?mail (?:kommt|stammt|wurde)"
    r"|precauci[óo]n|advertencia|atenci[óo]n|correo externo|este (?:correo|mensaje) (?:proviene|procede|se origin)"
    r"|attenzione|e-?mail esterna|messaggio esterno|questa e-?mail proviene|advarsel|bemærk|obs|pas på"
    r"|ekstern (?:e-?)?mail"
    r"|denne (?:e-?)?mail (?:kommer|er sendt))\b",
    re.IGNORECASE,
)
_OUTSIDE = re.compile(
    r"outside (?:of )?(?:the|our|your|this)|external (?:sender|source|e-?mail|mail)|ext[ée]rieur|externe"
    r"|buiten (?:de|onze|uw)"
    r"|van buiten|außerhalb|extern|fuera de|extern[oa]|esterno|dall['’]esterno|esterna|uden for|udefra|ekstern",
    re.IGNORECASE,
)
_WARNS = re.compile(
    r"click|links?\b|attachments?|open|recogni[sz]e|cliqu|pi[èe]ces? jointes?|ouvr|klik|bijlage|klick|anh[äa]nge"
    r"|[öo]ffne"
    r"|haga clic|enlaces?|adjunt|clicc|allegat|aprire|vedhæft|åbn|caution|\A\W*external|\A\W*e-?mail externe",
    re.IGNORECASE,
)
_OF_A_MAIL = re.compile(
    rf"\b{_MAIL}\b|sender|organi[sz]ation|exp[ée]diteur|afzender|absender|remitente|mittente|afsender", re.IGNORECASE
)
_EXTERNAL = re.compile(
    r"[\W_]{0,8}(?:external|extern[eao]?|ekstern)(?: (?:e-?mail|mail|sender|message))?[\W_]{0,8}\Z", re.IGNORECASE
)
_LONGEST_WARNING = 600

_FOOTER_RULE = re.compile(r"\s*(?:_{20,}|-{20,}|={20,})\s*\Z")
_FOOTER = re.compile(
    r"mailing[ -]?list|listinfo|unsubscribe|liste de diffusion|d[ée]sinscri|se d[ée]sabonner|mailinglijst|afmelden"
    r"|uitschrijven"
    r"|mailingliste|abmelden|lista de (?:correo|distribuci)|cancelar (?:la )?suscripci|mailing list|disiscri"
    r"|cancellarsi"
    r"|postliste|mailingliste|afmeld|@googlegroups|groups[.]io",
    re.IGNORECASE,
)
_FOOTER_LINES = 8


def without(lines: list[str]) -> list[str]:
    """The lines without disclaimers, warnings, list footers and the like. Quoted lines are left alone."""
    return _without_footer(_without_paragraphs(_without_warning(lines)))


def _without_warning(lines: list[str]) -> list[str]:
    """Cut the warning at the very top: its paragraph, or its line directly above the sender's words."""
    start = paragraphs.first_filled(lines, 0)
    if start == len(lines) or not _WARNING.match(lines[start][:_LONGEST_WARNING]):
        return lines
    if _EXTERNAL.match(lines[start][:80]) and start + 1 < len(lines):
        return lines[start + 1 :]
    end = start
    while end < len(lines) and lines[end].strip():
        end += 1
    if not _warns(lines[start:end]):
        return lines
    if paragraphs.ends_sentence(lines[start]) and _warns(lines[start : start + 1]):
        end = start + 1
    return lines[end:] if any(map(str.strip, lines[end:])) else lines


def _warns(lines: list[str]) -> bool:
    """Whether these lines say that a mail came from outside, and what not to do with it."""
    said = " ".join(lines)
    return len(said) <= _LONGEST_WARNING and all(what.search(said) for what in (_OUTSIDE, _WARNS, _OF_A_MAIL))


def _without_paragraphs(lines: list[str]) -> list[str]:
    kept: list[str] = []
    surely = True
    for paragraph in paragraphs.runs(lines):
        if not paragraph[0].strip() or paragraphs.is_quoted(paragraph[0]):
            kept += paragraph
            continue
        above = _before_disclaimer(paragraph)
        own = [line for line in above if not _adds_nothing(line)]
        if len(own) == len(paragraph):
            kept += paragraph
            continue
        surely = surely and sum(map(len, paragraph[len(above) :])) >= _SURE
        kept += own
        while kept and len(kept[-1]) <= _LONGEST_TITLE and _TITLE.match(kept[-1]):
            kept.pop()
        kept.append("")
    return kept if surely or any(map(str.strip, kept)) else lines


def _adds_nothing(line: str) -> bool:
    line = line[:_LONGEST_WARNING]
    return _ENVIRONMENT.match(line) is not None or _SCANNED.match(line) is not None


def _before_disclaimer(paragraph: list[str]) -> list[str]:
    """The lines of a paragraph above the one with which a disclaimer begins."""
    for index, line in enumerate(paragraph[:_LOOKED_AT]):
        if not _OPENING.match(line[:_LOOKED_AT_CHARACTERS]):
            continue
        rest = " ".join(paragraph[index : index + _LOOKED_AT])[:_LOOKED_AT_CHARACTERS]
        said = sum(saying.search(rest) is not None for saying in _SAYINGS)
        if said > _ENOUGH or (said == _ENOUGH and len(rest) >= _SURE):
            return paragraph[:index]
    return paragraph


def _without_footer(lines: list[str]) -> list[str]:
    """Cut what a list's server puts below each mail: a rule, and a few lines that name the list."""
    end = paragraphs.last_filled(lines)
    for index in range(end - 1, max(end - _FOOTER_LINES - 2, -1), -1):
        if _FOOTER_RULE.match(lines[index]):
            said = " ".join(lines[index + 1 : end])
            return lines[:index] if _FOOTER.search(said) and ("@" in said or "://" in said) else lines
    return lines
