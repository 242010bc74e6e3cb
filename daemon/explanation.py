"""What `verdict@` answers: how a mail was judged, and why, in plain sentences."""

from __future__ import annotations

from daemon.envelope import Proofs
from daemon.payer import Judgement
from daemon.peers import Peer


def sentences(peer: Peer, proofs: Proofs, envelope_from: str, judgement: Judgement) -> list[str]:
    """How a mail of this peer was judged, from the strongest proof to the weakest, and what came of it."""
    told = [_peer(peer, proofs), f"Its envelope sender (MAIL FROM) is {envelope_from}."]
    if judgement.verdict is not None:
        told += [finding.sentence for finding in judgement.verdict.findings]
        if judgement.sender is not None:
            named = ", ".join(sorted(judgement.verdict.named)[:10]) or "nobody"
            told.append(f"It is good once for each special address that To and Cc name: {named}.")
    if judgement.sender is not None:
        told.append(f"So it is taken as a mail of the account {judgement.sender.name}, which pays for it.")
    else:
        told.append(f"So nobody pays for it, and it would be refused: {_sentence(judgement.refusal)}")
    return told


def _peer(peer: Peer, proofs: Proofs) -> str:
    if proofs.account is not None:
        return f"The mail came from {peer}, which has logged in: it may send from the addresses of its account."
    if proofs.trusted:
        return f"The mail came from {peer}, a trusted network: its envelope sender is believed."
    if proofs.relay:
        return f"The mail came from {peer}, a relay: what it verified of From counts, its envelope sender does not."
    return f"The mail came from {peer}, which is no trusted network and no relay, and nobody has logged in."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
