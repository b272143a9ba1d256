"""The headline of a study: sentences that a careful reader accepts."""

from typing import TYPE_CHECKING

from routesig._findings import Finding
from routesig._p_value import PValue
from routesig._study._parts import Control
from routesig.controls._decomposition import LEAST_CROSSING

if TYPE_CHECKING:
    from routesig._study._result import Study

NOT_CLAIMED = (
    "Individual experts are not human-readable skills.",
    "Routing is not the only mechanism of task behaviour; telling tasks apart by it does not explain them.",
    "How often an expert is selected is not how important it is.",
    "The intervals are about other prompts of these tasks; they say nothing about other tasks or models.",
)

_ALPHA = 0.05
_IN_THE_HEADLINE = ("not-finite", "identity-rows", "common-prefix", "source-is-task")
_MODELS = {"random weights": "networks with random weights", "rotated router": "routers rotated at random"}


def headline(study: "Study") -> list[str]:
    """One sentence each: the separation and what length alone gives; where shown, what words and other models give."""
    sentences = [_separation(study), _length(study)]
    if study.p_value is not None and study.p_value <= _ALPHA:
        sentences += [_vocabulary(study), _context(study), _strongest(study), _rotated(study), *_classifier(study)]
    sentences += [_sentence(str(finding)) for finding in study.findings if in_headline(finding)]
    return [sentence for sentence in sentences if sentence]


def p_text(p: PValue | None) -> str:
    """A p-value with the smallest value that it could have taken."""
    if p is None:
        return "p absent"
    return f"p = {p:.2g}, {'the smallest possible' if p.at_floor else f'smallest possible {p.floor:.2g}'}"


def interval_text(ci: tuple[float, float] | None) -> str:
    return "no interval" if ci is None else f"95 % interval {ci[0]:.3f} to {ci[1]:.3f}"


def percent(share: float) -> str:
    return f"{round(100 * share)} %"


def labelled(study: "Study") -> list[int]:
    """Places of the prompts that have a task: the only ones that any number of the headline is about."""
    return [i for i, prompt in enumerate(study.prompts) if prompt.task is not None]


def permuted(study: "Study") -> str:
    """What was permuted, in words."""
    test = study.permutation_test
    unit = "whole groups of prompts" if test.unit == "groups" else "prompts, treated as independent,"
    return f"{unit} permuted across tasks" + (f" within each of {test.sources} sources" if test.sources else "")


def context_units(study: "Study") -> str:
    """Whose labels the context test permuted."""
    test = None if study.context is None else study.context.test
    return "whole groups" if test is not None and test.unit == "groups" else "prompts"


def in_headline(finding: Finding) -> bool:
    """Whether the headline says it: what the numbers above it cannot be read without."""
    return finding.rule in _IN_THE_HEADLINE


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _separation(study: "Study") -> str:
    within, across, difference = study.within.mean, study.across.mean, study.difference.value
    count = len(labelled(study))
    prompts = f"on {count} prompt{'s' * (count != 1)}{_lengths(study)}"
    if within is None or across is None or difference is None:
        return f"No test is possible {prompts}: {study.absent.get('difference', 'there are no pairs of prompts')}."
    numbers = f"similarity {within:.3f} against {across:.3f}, a difference of {difference:.3f}"
    if study.p_value is None:
        return _sentence(f"{study.absent.get('p_value', 'no test is possible')}; {numbers}, {prompts}")
    if study.p_value <= _ALPHA:
        verdict = "Prompts of one task are routed more alike than prompts of different tasks"
    else:
        verdict = "Routing is not shown to follow the task"
    interval = interval_text(study.difference.ci)
    return f"{verdict}: {numbers} ({interval}; {permuted(study)}: {p_text(study.p_value)}), {prompts}."


def _lengths(study: "Study") -> str:
    tokens = [prompt.tokens for prompt in study.prompts if prompt.task is not None and prompt.tokens is not None]
    if not tokens:
        return ""
    which = "" if study.options.tokens == "all" else f"{study.options.tokens} "
    low, high = min(tokens), max(tokens)
    return f" of {low} {which}tokens" if low == high else f" of {low} to {high} {which}tokens"


def length_alone(study: "Study") -> float | None:
    """D where every token chooses its experts at random and only the lengths of texts differ."""
    null = study.baselines.get("load_balance")
    if null is None:
        return None
    if null.difference is not None:
        return float(null.difference.mean)
    return None if null.closed_form is None else null.closed_form.difference


def _length(study: "Study") -> str:
    if study.difference.value is None:
        return ""
    alone, debiased = length_alone(study), study.debiased
    if alone is None:
        why = study.absent.get("baselines[load_balance]", "the baseline has no value")
        first = f"What text length alone would give is not known ({why})"
    else:
        first = f"Text length alone would give {_signed(alone)}"
    if debiased is None or debiased.difference is None:
        why = study.absent.get("debiased") or (debiased.absent["difference"] if debiased else "not computed")
        return f"{first}; a similarity free of text length is absent: {why}."
    p = "" if debiased.p_value is None else f" ({p_text(debiased.p_value)})"
    sentence = f"{first}; free of text length the difference is {_signed(debiased.difference)}{p}"
    shown = study.p_value is not None and study.p_value <= _ALPHA
    if shown and debiased.p_value is not None and debiased.p_value > _ALPHA:
        sentence += ", which is not shown to be more than chance: length may account for all of it"
    return sentence + "."


def _vocabulary(study: "Study") -> str:
    shuffled, total = study.token_shuffle, study.difference.value
    if shuffled is None or shuffled.difference is None or total is None:
        reason = study.absent.get("token_shuffle") or (shuffled.absent["difference"] if shuffled else "not computed")
        return f"What words alone account for could not be controlled: {reason}."
    found, crossing = shuffled.difference, shuffled.crossing_share or 0.0
    given = "With each token given the routing of another occurrence of the same token"
    if crossing < LEAST_CROSSING:
        sentence = (
            f"Words and context cannot be told apart: {percent(crossing)} of the tokens occur in more than one task, "
            "and only those can be given the routing of another task"
        )
        parts = None if study.decomposition is None else study.decomposition.crossing
        if parts is not None and parts.total.value > 0:
            share = (parts.length.value + parts.vocabulary.value) / parts.total.value
            if 0 <= share <= 1:
                sentence += f"; of the difference that these make by themselves, at most {percent(share)} is words"
        return sentence + "."
    if found.mean >= found.observed:
        return (
            f"{given}, the difference is {found.mean:.3f} and no smaller: none of it is shown to be more than which "
            "tokens occur."
        )
    if found.mean <= 0:
        return f"{given}, nothing of the difference is left ({_signed(found.mean)}): which tokens occur explains none."
    most = percent(found.mean / found.observed)
    return (
        f"{given}, the difference is {found.mean:.3f}: at most {most} of it can be put down to which tokens occur "
        f"({percent(crossing)} of the tokens occur in more than one task)."
    )


def _context(study: "Study") -> str:
    """What words do not account for, and whether that follows the task."""
    context, shuffled = study.context, study.token_shuffle
    if context is None or context.difference is None or shuffled is None or shuffled.difference is None:
        return ""
    if shuffled.difference.mean >= shuffled.difference.observed:
        return ""
    parts = None if study.decomposition is None else study.decomposition.overall
    band = "" if parts is None or parts.context.band is None else f" ({interval_text(parts.context.band)})"
    if context.p_value is None:
        return _sentence(f"that what is left of it follows the task could not be tested: {context.absent['p_value']}")
    verdict = "follows" if context.p_value <= _ALPHA else "is not shown to follow"
    tests = f"two tests, labels of {context_units(study)} permuted and routing of equal tokens shuffled"
    return (
        f"The rest, {context.difference:.3f}{band}, {verdict} the task ({tests}; the larger {p_text(context.p_value)})."
    )


def _strongest(study: "Study") -> str:
    """The control model that keeps most of D, and the one that keeps most of d, which need not be the same."""
    models = [c for c in study.controls.values() if c.kind == "null" and c.name != "token shuffle" and c.difference]
    total, d = study.difference.value, study.cohens_d.value
    if not models or total is None:
        lost = [(name, why) for name in study.options.controls if (why := study.absent.get(f"controls[{name}]"))]
        return " ".join(f"The control {name!r} could not be compared: {why}." for name, why in lost)
    most = max(models, key=lambda c: c.difference.mean if c.difference else 0.0)
    assert most.difference is not None
    found = most.difference
    over = (
        f"{found.low:.3f} to {found.high:.3f} over {found.repetitions} seeds" if found.repetitions > 1 else "one seed"
    )
    stands = [f"the routing is {most.rank}"] if most.rank else []
    stands += [p_text(most.p_value)] if most.p_value is not None else []
    sentence = (
        f"Of the control models, {_MODELS.get(most.name, most.name)} keep most of the difference, {found.mean:.3f} of "
        f"{total:.3f} ({'; '.join([over, *stands])})"
    )
    with_d = [c for c in models if c.cohens_d is not None]
    if d is not None and with_d:
        nearest = max(with_d, key=lambda c: c.cohens_d.mean if c.cohens_d else 0.0)
        assert nearest.cohens_d is not None
        whose = "they also keep" if nearest is most else f"{_MODELS.get(nearest.name, nearest.name)} keep"
        sentence += f"; {whose} most of d, {nearest.cohens_d.mean:.2f} of {d:.2f}"
    return sentence + "."


def _rotated(study: "Study") -> str:
    """Where routers turned at random do nearly as well: any router would separate these hidden states."""
    rotated, d, accuracy = study.controls.get("rotated router"), study.cohens_d.value, study.classification.accuracy
    if rotated is None or rotated.cohens_d is None or rotated.accuracy is None or d is None or accuracy is None:
        return ""
    if rotated.cohens_d.mean < 0.5 * d or rotated.accuracy.mean < accuracy - 0.02:
        return ""
    return (
        f"Little of that needs a learned router: over the same hidden states, routers rotated at random keep "
        f"{percent(rotated.cohens_d.mean / d)} of d, and a classifier names the task from them as well "
        f"({percent(rotated.accuracy.mean)} against {percent(accuracy)})."
    )


def _classifier(study: "Study") -> list[str]:
    read = study.classification
    if read.accuracy is None or read.wilson is None or read.chance is None:
        return []
    grouped = ", taking prompts for independent" if study.permutation_test.unit == "groups" else ""
    first = (
        f"A linear classifier names the task of {read.hits} of {read.trials} held-out prompts "
        f"({percent(read.wilson[0])} to {percent(read.wilson[1])}{grouped}; guessing {percent(read.chance)})."
    )
    bag = study.controls.get("bag of tokens")
    if bag is None or bag.accuracy is None or bag.detail.difference is None:
        why = bag.absent.get("difference") if bag is not None else study.absent.get("controls[bag of tokens]")
        return [first, f"What the words alone tell a classifier is not known: {why or 'it was not computed'}."]
    return [first, _against_words(bag)]


def _against_words(bag: Control) -> str:
    found = bag.detail
    words, routing, trials = found.control.hits, found.signature.hits, found.control.trials
    seen = f"A classifier that sees only token ids, tuned the same way, names {words} of {trials}"
    against = f"(the routing, tuned: {routing}"
    test = "" if found.p_value is None else f"; McNemar {p_text(found.p_value)}"
    if found.p_value is not None and found.p_value <= _ALPHA:
        verdict = "fewer" if found.difference > 0 else "more: the routing tells less than the words"
        return f"{seen}, {verdict} {against}{test})."
    if min(words, routing) >= 0.95 * trials:
        return f"{seen} {against}): both are near the ceiling, so accuracy cannot tell them apart."
    return f"{seen} {against}{test}): accuracy is no evidence that routing tells more than words."


def _signed(value: float) -> str:
    """Three decimals, or as many as two digits of a small value need."""
    return f"{value:.3f}" if abs(value) >= 0.0095 or value == 0 else f"{round(value, 4) + 0.0:.4f}"
