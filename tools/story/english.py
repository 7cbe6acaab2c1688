"""The English half of the grammar: who wants what, what is in the way, and who helps.

Everything a story says follows from one `Plot`, so that its beginning and its end agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from english_words import (ADJECTIVES, BOYS, FAMILIES, FAVORS, GIRLS, HABITS, HEROES, JOURNEYS, OBSTACLES, PLACES, RECIPES,
                           ROADS, SKILLS, THINGS)


@dataclass(frozen=True)
class Plot:
    kind: str
    name: str
    girl: bool
    adjective: str
    place: str
    helper: str
    helper_name: str
    wish: str  # as an instruction has it: "who …"
    wanted: str  # as an answer has it: "… wanted …"
    sentences: tuple[str, ...]
    short: tuple[str, ...]


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def make_plot(rng: Random) -> Plot:
    """Everything one story needs, its sentences included."""
    pick = rng.choice
    kind = pick(HEROES)
    girl = kind == "girl" or (kind != "boy" and rng.random() < 0.5)
    name = pick(GIRLS if girl else BOYS)
    others = [n for n in GIRLS + BOYS if n != name]
    helper_name = pick(others)
    adjective, place = pick(ADJECTIVES), pick(list(PLACES))
    env = dict(N=name, H=helper_name, kind=kind, adj=adjective, place=place, a_kind=a(adjective + " " + kind),
               elder=pick(["mother", "grandmother", "father", "grandfather"]),
               family=pick(FAMILIES), habit=pick(HABITS))
    env |= dict(zip(("he", "his", "him", "He", "His"),
                    ("she", "her", "her", "She", "Her") if girl else ("he", "his", "him", "He", "His")))
    env["hhis"] = "her" if helper_name in GIRLS else "his"
    builder = pick([_find, _find, _make, _learn, _travel])
    helper, wish, wanted, middle, short_middle = builder(rng, env, kind)
    env["helper"] = helper
    opening = _opening(rng, env)
    lines = opening + middle + _ending(rng, env)
    short = opening[:1] + short_middle
    return Plot(kind, name, girl, adjective, place, helper, helper_name, wish, wanted,
                tuple(sentence_case(s.format(**env)) for s in lines),
                tuple(sentence_case(s.format(**env)) for s in short))


def _opening(rng: Random, env: dict) -> list[str]:
    first = rng.choice(["Once upon a time, there was {a_kind} named {N}.",
                        "Once upon a time, there was {a_kind} named {N}.",
                        "Once upon a time, in {place}, there lived {a_kind} named {N}.",
                        "Long ago, there was {a_kind} whose name was {N}.",
                        "There once was {a_kind} named {N}.",
                        "In {place}, there lived {a_kind} named {N}.",
                        "{N} was {a_kind}."])
    lives = [] if "{place}" in first else [rng.choice([
        "{He} lived in {place} with {his} {family}.", "{He} lived in {place}.",
        "{N} lived in {place} with {his} {family}.", "{His} home was {place}."])]
    more = [rng.choice(PLACES[env["place"]]),
            rng.choice(["Every day, {he} {habit}.", "{N} often {habit}.", "Every morning, {N} {habit}."])]
    return [first, *lives, *[s for s in more if rng.random() < 0.6]]


def _meeting(rng: Random, helper: str) -> list[str]:
    pick = rng.choice
    return [pick([f"Just then, {a(helper)} named {{H}} came by.", f"At that moment, {{N}} met {a(helper)} named {{H}}.",
                  f"Then {a(helper)} named {{H}} heard {{him}}.", f"Soon, {a(helper)} whose name was {{H}} stopped beside {{him}}.",
                  f"Not far away lived {a(helper)} named {{H}}, who saw it all."]),
            pick(['"Why are you so sad?" asked {H}.', '"What is the matter?" asked {H}.',
                  '"Can I help you?" asked {H}.', '"Why are you crying, little {kind}?" asked {H}.'])]


def _sadness(rng: Random) -> str:
    return rng.choice(["{N} sat down and sighed.", "{N} was very sad.", "A tear ran down {his} cheek.",
                       "{N} did not know what to do.", "{N} almost gave up."])


def _comfort(rng: Random) -> str:
    return rng.choice(["Do not worry", "Do not cry", "Let me help you", "That is no problem", "Dry your tears"])


def _find(rng: Random, env: dict, kind: str):
    pick = rng.choice
    thing, obstacle = pick(THINGS), pick(OBSTACLES)
    helper = pick([h for h in obstacle.helpers if h != kind])
    env["noun"], gift = thing.noun, rng.random() < 0.3
    reason = "give it to {his} {elder}" if gift else thing.use
    done = f"gave the {thing.noun} to {{his}} {{elder}}, who smiled and hugged {{him}}" if gift else thing.used
    wish = pick([f"{{N}} wanted {thing.name} more than anything, because {{he}} wanted to {reason}.",
                 f"More than anything, {{N}} wished for {thing.name}. {{He}} wanted to {reason}.",
                 f"{{N}} had only one wish: {thing.name}. {{He}} wanted to {reason}."])
    seen = pick([f"One day, {{N}} saw {thing.name}. It {obstacle.where}.",
                 f"One morning, {{he}} found {thing.name} at last, but it {obstacle.where}.",
                 f"One sunny day, {{N}} went for a walk, and there it was: {thing.name}! But it {obstacle.where}."])
    attempt = pick([f"{{N}} {obstacle.attempt}.", f"{{He}} {obstacle.attempt}."])
    answer = pick([f'"I want the {thing.noun}, but {obstacle.short}," said {{N}}.',
                   f'"I wish I had the {thing.noun}, but {obstacle.short}," {{N}} answered.'])
    promise = f'"{_comfort(rng)}," said {{H}}. "{obstacle.promise}."'
    result = pick([f"From then on, {{N}} {done}.", f"That same day, {{N}} {done}.", f"Full of joy, {{N}} {done}."])
    if gift:
        result = f"In the evening, {{N}} {done}."
    thanks = pick([f'"Thank you, {{H}}! Now I have the {thing.noun}," said {{N}}.',
                   f'"The {thing.noun}!" cried {{N}}. "Thank you, {{H}}!"'])
    middle = [wish, seen, obstacle.problem, attempt, *([_sadness(rng)] if rng.random() < 0.6 else []),
              *_meeting(rng, helper), answer, promise, obstacle.help + ".", thanks, result]
    short = [wish, seen, f"But {a(helper)} named {{H}} came to help.", obstacle.help + ".", f"{{N}} was happy and said thank you."]
    return helper, f"who wants {thing.name}", f"{{N}} wanted {thing.name}.", middle, short


def _make(rng: Random, env: dict, kind: str):
    pick = rng.choice
    recipe, favor = pick(RECIPES), pick(list(FAVORS))
    helper = pick([h for h in recipe.givers if h != kind])
    env["noun"] = recipe.noun
    wish = pick([f"One day, {{N}} wanted to make {recipe.name} for {{his}} {{elder}}.",
                 f"{{His}} {{elder}} had a birthday, and {{N}} wanted to make {recipe.name}.",
                 f"One morning, {{N}} decided to make {recipe.name}."])
    lack = pick([f"{{He}} had {recipe.has}, but {{he}} had no {recipe.lacks}.",
                 f"At home, {{he}} found {recipe.has}, but no {recipe.lacks}."])
    search = pick([f"{{N}} looked in every corner and found no {recipe.lacks} at all.",
                   f"{{He}} asked all the neighbors for {recipe.lacks}, but nobody had any."])
    answer = f'"I want to make {recipe.name}, but I have no {recipe.lacks}," said {{N}}.'
    deal = pick([f'"I have {recipe.lacks}," said {{H}}. "If you help me to {favor}, I will give you some."',
                 f'"You can have some of my {recipe.lacks}," said {{H}}. "But first help me to {favor}."'])
    work = pick([f"{{N}} was glad to help and {FAVORS[favor]}.", f"So {{N}} {FAVORS[favor]}."])
    much = "many" if recipe.lacks.endswith("s") else "much"
    gave = pick([f"{{H}} kept {{hhis}} word and gave {{him}} the {recipe.lacks}.",
                 f"Then {{H}} gave {{N}} as {much} {recipe.lacks} as {{he}} could carry."])
    made = f"At home, {{N}} {recipe.made}."
    middle = [wish, lack, search, *([_sadness(rng)] if rng.random() < 0.5 else []), *_meeting(rng, helper), answer, deal,
              work, gave, made, recipe.end]
    short = [wish, lack, f"{a(helper)} named {{H}} gave {{him}} the {recipe.lacks}.", made, recipe.end]
    return helper, f"who wants to make {recipe.name}", f"{{N}} wanted to make {recipe.name}.", middle, short


def _learn(rng: Random, env: dict, kind: str):
    pick = rng.choice
    skill = pick(SKILLS)
    helper = pick([h for h in skill.teachers if h != kind])
    wish = pick([f"{{N}} wanted to learn to {skill.verb}.", f"{{N}} had a dream: {{he}} wanted to {skill.verb}.",
                 f"More than anything, {{N}} wanted to {skill.verb}."])
    attempt = pick([f"One day {{he}} tried it, but {{he}} {skill.fail}.", f"{{He}} tried it again and again, but {{he}} {skill.fail}."])
    laugh = pick(["The others laughed at {him}.", '"You will never learn it," said the others.', "{N} turned red and ran away."])
    answer = pick([f'"I cannot {skill.verb}," said {{N}}. "I will never learn it."', f'"I want to {skill.verb}, but I cannot do it," said {{N}}.'])
    advice = f'"{_comfort(rng)}," said {{H}}. "{skill.advice}."'
    practice = pick([f"They practiced together every day, and each time the {skill.ing} went a little better.",
                     f"{{H}} showed {{N}} how to do it, and {{N}} tried it a hundred times.",
                     f"From then on, {{N}} practiced {skill.ing} with {{H}} every evening."])
    success = pick([f"At the end of the summer, {{N}} {skill.success}.", f"One day, {{N}} {skill.success}.", f"And then it happened: {{N}} {skill.success}."])
    proud = pick([f'"I can {skill.verb}!" cried {{N}}.', f'"Look, {{H}}, I can {skill.verb}!" said {{N}}.'])
    middle = [wish, attempt, *([laugh] if rng.random() < 0.7 else []), *([_sadness(rng)] if rng.random() < 0.5 else []),
              *_meeting(rng, helper), answer, advice, practice, success, proud]
    short = [wish, attempt, f"{a(helper)} named {{H}} taught {{him}} how to do it.", success]
    return helper, f"who wants to learn to {skill.verb}", f"{{N}} wanted to learn to {skill.verb}.", middle, short


def _travel(rng: Random, env: dict, kind: str):
    pick = rng.choice
    journey, road = pick(JOURNEYS), pick(ROADS)
    helper = pick([h for h in road.helpers if h != kind])
    wish = pick([f"{{N}} wanted to see {journey.name}, because {journey.reason}.",
                 f"{{N}} had never seen {journey.name}, but {{he}} dreamed of it every night, because {journey.reason}."])
    start = pick(["One morning, {he} packed some bread and set out.", "So one day {he} said goodbye and began to walk.",
                  "When spring came, {N} set out early in the morning."])
    answer = f'"I want to see {journey.name}, but {road.short}," said {{N}}.'
    promise = f'"{_comfort(rng)}," said {{H}}. "{road.promise}."'
    middle = [wish, start, f"But {road.problem}.", *([_sadness(rng)] if rng.random() < 0.6 else []),
              *_meeting(rng, helper), answer, promise, road.help + ".",
              pick([f"And at last, there it was: {journey.name}.", f"In the end, {{N}} came to {journey.name}."]), journey.arrival,
              pick(["{N} had never been so happy.", "{N} could not stop looking.", '"It is even more beautiful than I thought," said {N}.'])]
    short = [wish, start, f"But {road.problem}.", f"{a(helper)} named {{H}} came to help.", road.help + ".", journey.arrival]
    return helper, f"who wants to see {journey.name}", f"{{N}} wanted to see {journey.name}.", middle, short


def _ending(rng: Random, env: dict) -> list[str]:
    pick = rng.choice
    friends = pick(["{N} and {H} became the best of friends.", "Since that day, {N} and {H} have been friends.",
                    "{N} invited {H} home, and they talked until the stars came out.",
                    "{H} waved goodbye and promised to come back soon."])
    moral = pick(["{N} had learned that nobody has to do everything alone.", "And {N} never forgot who had helped {him}.",
                  "{N} knew now that a friend is worth more than gold.", "Later, when somebody else was sad, {N} was the first to help.",
                  "{N} had learned that it is good to ask for help."])
    close = pick(["The end.", "They lived happily ever after.", "That night, {N} fell asleep with a smile."])
    return [friends, *([moral] if rng.random() < 0.7 else []), *([close] if rng.random() < 0.6 else [])]
