"""Word problems with worked solutions: stories by their words, mathematics by what they ask."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

from .prompts import Pair

NAMES = ("Anna", "Ben", "Carla", "David", "Ella", "Frank", "Grace", "Henry", "Ida", "Jack", "Karen", "Leo", "Maria",
         "Nina", "Oscar", "Paul", "Rosa", "Sam", "Tina", "Victor", "Tom", "Lucy", "Peter", "Mia")  # fmt: skip
THINGS = ("apples", "marbles", "books", "stamps", "cookies", "pencils", "coins", "tickets", "eggs", "cards", "shells",
          "balloons", "oranges", "stickers", "roses", "bottles")  # fmt: skip
GOODS = (
    "shirt",
    "bicycle",
    "lamp",
    "coat",
    "book",
    "chair",
    "watch",
    "phone",
    "table",
    "pair of shoes",
    "bag",
    "radio",
)
WORKERS = ("A baker", "A farmer", "A gardener", "A teacher", "A tailor", "A painter", "A shop", "A factory", "A school")
MOVERS = ("A car", "A bus", "A train", "A cyclist", "A ship", "A plane", "A runner", "A truck", "A walker")


def _plain(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):g}"


def gives_away(r: random.Random) -> Pair:
    a, b, (who, other), what = r.randint(12, 90), r.randint(2, 11), r.sample(NAMES, 2), r.choice(THINGS)
    ask = r.choice(
        (
            "{w} has {a} {t} and gives {b} to {o}. How many {t} are left?",
            "{w} had {a} {t}. {o} took {b} of them. How many does {w} have now?",
        )
    )
    return Pair(ask.format(w=who, a=a, t=what, b=b, o=other), f"{a} - {b} = {a - b}. {who} has {a - b} {what} left.")


def buys(r: random.Random) -> Pair:
    n, price, who, what = r.randint(2, 15), r.randint(2, 12), r.choice(NAMES), r.choice(THINGS)
    paid = n * price + r.randint(1, 30)
    ask = r.choice(
        (
            "{w} buys {n} {t} at {p} dollars each and pays with {m} dollars. How much change does {w} get?",
            "Each of {n} {t} costs {p} dollars. How much is left of {m} dollars after {w} has paid?",
        )
    )
    return Pair(
        ask.format(w=who, n=n, t=what, p=price, m=paid),
        f"The cost is {n} * {price} = {n * price} dollars. {paid} - {n * price} = {paid - n * price} dollars.",
    )


def speed(r: random.Random) -> Pair:
    v, t, who = 5 * r.randint(2, 24), r.randint(2, 9), r.choice(MOVERS)
    ask, answer = r.choice((
        (f"{who} travels at {v} kilometres per hour for {t} hours. How far does it go?",
         f"Distance is speed times time: {v} * {t} = {v * t} kilometres."),
        (f"{who} covers {v * t} miles in {t} hours. What is the average speed?",
         f"Speed is distance over time: {v * t} / {t} = {v} miles per hour."),
        (f"How long does it take to drive {v * t} km at {v} km per hour?", f"{v * t} / {v} = {t} hours."),
        (f"{who} goes {v * t} kilometres in {t} hours and 30 minutes. Find the average speed.",
         f"The time is {t}.5 hours. {v * t} / {t}.5 = {v * t / (t + 0.5):.1f} kilometres per hour."),
    ))  # fmt: skip
    return Pair(ask, answer)


def meeting(r: random.Random) -> Pair:
    a, b, t = 5 * r.randint(4, 18), 5 * r.randint(4, 18), r.randint(2, 6)
    ask = r.choice(
        (
            "Two trains leave towns {d} km apart and move towards each other at {a} and {b} km per hour. "
            "When do they meet?",
            "Two cars start {d} miles apart and drive towards each other at {a} and {b} miles per hour. "
            "After how many hours do they meet?",
        )
    )
    return Pair(
        ask.format(d=(a + b) * t, a=a, b=b),
        f"Together they cover {a} + {b} = {a + b} in an hour. {(a + b) * t} / {a + b} = {t} hours.",
    )


def twice_as_many(r: random.Random) -> Pair:
    k, x, (who, other), what = r.randint(2, 6), r.randint(3, 25), r.sample(NAMES, 2), r.choice(THINGS)
    times = {2: "twice", 3: "three times", 4: "four times", 5: "five times", 6: "six times"}[k]
    ask = r.choice(
        (
            "{w} has {k} as many {t} as {o}. Together they have {s}. How many {t} does {o} have?",
            "There are {s} {t}. {w} owns {k} as many as {o}. How many has each?",
        )
    )
    return Pair(
        ask.format(w=who, k=times, t=what, o=other, s=(k + 1) * x),
        f"Let {other} have x. Then x + {k}x = {(k + 1) * x}, so {k + 1}x = {(k + 1) * x} and x = {x}. "
        f"{other} has {x} and {who} has {k * x}.",
    )


def discount(r: random.Random) -> Pair:
    p, price, what = r.choice((5, 10, 15, 20, 25, 30, 40, 50)), 4 * r.randint(5, 80), r.choice(GOODS)
    off = Fraction(p * price, 100)
    ask = r.choice(
        (
            "A {t} costs {c} dollars. The price is cut by {p} percent. What does it cost now?",
            "A {t} for {c} dollars is on sale with {p}% off. Find the sale price.",
            "How much do you pay for a {t} of {c} dollars after a discount of {p} percent?",
        )
    )
    return Pair(
        ask.format(t=what, c=price, p=p),
        f"The reduction is {p} / 100 * {price} = {_plain(off)} dollars. "
        f"{price} - {_plain(off)} = {_plain(price - off)} dollars.",
    )


def increase(r: random.Random) -> Pair:
    p, n = r.choice((5, 10, 20, 25, 50)), 20 * r.randint(3, 90)
    ask = r.choice(
        (
            "The rent of {n} dollars rises by {p} percent. What is the new rent?",
            "A town of {n} people grows by {p} percent. How many people live there now?",
            "A salary of {n} dollars is increased by {p}%. Find the new salary.",
        )
    )
    return Pair(
        ask.format(n=n, p=p), f"{p} percent of {n} is {n * p // 100}. {n} + {n * p // 100} = {n + n * p // 100}."
    )


def interest(r: random.Random) -> Pair:
    money, rate, years, who = 100 * r.randint(2, 50), r.randint(2, 9), r.randint(2, 8), r.choice(NAMES)
    ask = r.choice(
        (
            "{w} puts {m} dollars into a bank at {p} percent simple interest. How much interest after {y} years?",
            "Find the simple interest on {m} dollars at {p}% for {y} years.",
        )
    )
    value = money * rate * years // 100
    return Pair(
        ask.format(w=who, m=money, p=rate, y=years),
        f"Each year brings {money} * {rate} / 100 = {money * rate // 100} dollars. "
        f"{years} years bring {value} dollars.",
    )


def work_together(r: random.Random) -> Pair:
    a, b = r.sample(range(2, 16), 2)
    (who, other) = r.sample(NAMES, 2)
    value = Fraction(a * b, a + b)
    ask = r.choice(
        (
            "{w} paints a fence in {a} hours and {o} in {b} hours. How long do they take together?",
            "One pipe fills a pool in {a} hours, another in {b} hours. How long do both take?",
            "A machine does a job in {a} days, a second one in {b} days. In how many days do both finish it?",
        )
    )
    return Pair(
        ask.format(w=who, o=other, a=a, b=b),
        f"Per unit of time they do 1/{a} + 1/{b} = {Fraction(1, a) + Fraction(1, b)} of the work. So it takes {value}.",
    )


def ages(r: random.Random) -> Pair:
    x, k, (who, other) = r.randint(4, 15), r.randint(2, 5), r.sample(NAMES, 2)
    ask = r.choice(
        (
            "{w} is {d} years older than {o}. Together they are {s} years old. How old is {o}?",
            "The sum of the ages of {w} and {o} is {s}, and {w} is {d} years older. Find both ages.",
        )
    )
    d = k * 3
    return Pair(
        ask.format(w=who, o=other, d=d, s=2 * x + d),
        f"Let {other} be x. Then x + x + {d} = {2 * x + d}, so 2x = {2 * x} and x = {x}. {who} is {x + d}.",
    )


def production(r: random.Random) -> Pair:
    n, days, who, what = r.randint(5, 60), r.randint(2, 14), r.choice(WORKERS), r.choice(THINGS)
    ask = r.choice(
        (
            "{w} needs {n} {t} a day. How many {t} are needed in {d} days?",
            "{w} packs {n} {t} into each of {d} boxes. How many {t} are packed?",
            "{w} sells {n} {t} every day. How many are sold in {d} days?",
        )
    )
    return Pair(ask.format(w=who, n=n, t=what, d=days), f"{n} * {days} = {n * days}. The answer is {n * days} {what}.")


def morning_and_afternoon(r: random.Random) -> Pair:
    a, who, what = 2 * r.randint(5, 60), r.choice(WORKERS), r.choice(THINGS)
    if a == 48:
        a = 46
    factor, word = r.choice(
        ((Fraction(1, 2), "half as many"), (Fraction(2), "twice as many"), (Fraction(3), "three times as many"))
    )
    second = int(a * factor)
    ask = r.choice(
        (
            "{w} sold {a} {t} on Monday and {f} on Tuesday. How many {t} were sold altogether?",
            "{w} sells {a} {t} before noon and {f} after noon. Find the total.",
            "{w} counted {a} {t} in the first week and {f} in the second. How many is that in total?",
        )
    )
    return Pair(
        ask.format(w=who, a=a, t=what, f=word), f"The second number is {second}. {a} + {second} = {a + second}."
    )


def share(r: random.Random) -> Pair:
    n, each, rest, what = r.randint(3, 12), r.randint(3, 15), r.randint(0, 2), r.choice(THINGS)
    ask = r.choice(
        (
            "{s} {t} are shared equally among {n} children. How many does each child get?",
            "A class of {n} pupils divides {s} {t} fairly. How many are there for each, and how many are left?",
        )
    )
    return Pair(
        ask.format(s=n * each + rest, n=n, t=what),
        f"{n * each + rest} / {n} = {each} with {rest} left over. Each gets {each}.",
    )


def balls(r: random.Random) -> Pair:
    a, b = r.randint(2, 12), r.randint(2, 12)
    (first, second) = r.sample(("red", "blue", "green", "white", "black", "yellow"), 2)
    n = a + b
    if r.random() < 0.5:
        ask = r.choice(
            (
                "A box contains {a} {f} and {b} {g} balls. What is the probability that a ball is {f}?",
                "There are {a} {f} and {b} {g} balls in an urn. Find the probability of drawing a {f} one.",
            )
        )
        answer = f"There are {n} balls and {a} are {first}. The probability is {a}/{n} = {Fraction(a, n)}."
    else:
        ask = r.choice(
            (
                "An urn holds {a} {f} and {b} {g} marbles. Two are drawn. How likely is it that both are {f}?",
                "From {a} {f} and {b} {g} socks two are taken at random. What is the chance of two {f} ones?",
            )
        )
        answer = (
            f"The first is {first} with probability {a}/{n}, the second with {a - 1}/{n - 1}. "
            f"The product is {Fraction(a * (a - 1), n * (n - 1))}."
        )
    return Pair(ask.format(a=a, b=b, f=first, g=second), answer)


def dice(r: random.Random) -> Pair:
    total = r.randint(2, 12)
    count = 6 - abs(7 - total)
    ask = r.choice(
        (
            "Two dice are rolled. What is the probability that the sum is {t}?",
            "What is the probability of a total of {t} with two fair dice?",
            "How likely is a sum of {t} when two dice are thrown?",
        )
    )
    return Pair(
        ask.format(t=total),
        f"{count} of the 36 outcomes have the sum {total}. The probability is {count}/36 = {Fraction(count, 36)}.",
    )


def coins(r: random.Random) -> Pair:
    n = r.randint(2, 6)
    ask = r.choice(
        (
            "A coin is tossed {n} times. What is the probability that it shows heads every time?",
            "What is the chance of {n} heads in a row with a fair coin?",
        )
    )
    return Pair(ask.format(n=n), f"Each toss is heads with probability 1/2. (1/2)^{n} = 1/{2**n}.")


def savings(r: random.Random) -> Pair:
    start, week, n, who = r.randint(5, 80), r.randint(3, 20), r.randint(3, 20), r.choice(NAMES)
    ask = r.choice(
        (
            "{w} has {s} dollars and saves {k} dollars a week. How much does {w} have after {n} weeks?",
            "{w} starts with {s} dollars and adds {k} every week. How many weeks until {w} has {e} dollars?",
        )
    )
    end = start + week * n
    return Pair(
        ask.format(w=who, s=start, k=week, n=n, e=end),
        f"In {n} weeks {who} saves {week} * {n} = {week * n}. {start} + {week * n} = {end} dollars.",
    )


def recipe(r: random.Random) -> Pair:
    cups, people, k = r.randint(2, 6), r.randint(2, 6), r.randint(2, 5)
    ask = r.choice(
        (
            "A recipe for {p} people needs {c} cups of flour. How much flour is needed for {q} people?",
            "{c} litres of paint cover {p} walls. How many litres cover {q} walls?",
        )
    )
    return Pair(
        ask.format(p=people, c=cups, q=people * k), f"{people * k} is {k} times {people}. {cups} * {k} = {cups * k}."
    )


def consecutive(r: random.Random) -> Pair:
    x = r.randint(2, 80)
    ask = r.choice(
        (
            "The sum of three consecutive integers is {s}. Find them.",
            "Three numbers in a row add up to {s}. Which numbers are they?",
        )
    )
    return Pair(
        ask.format(s=3 * x + 3),
        f"Let the first be x. x + x + 1 + x + 2 = {3 * x + 3}, so 3x = {3 * x} "
        f"and x = {x}. The numbers are {x}, {x + 1} and {x + 2}.",
    )


def number_riddle(r: random.Random) -> Pair:
    x, a, b = r.randint(2, 30), r.randint(2, 9), r.randint(1, 40)
    ask = r.choice(
        (
            "I think of a number, multiply it by {a} and add {b}. The result is {c}. What is the number?",
            "A number times {a} plus {b} equals {c}. Find the number.",
        )
    )
    return Pair(ask.format(a=a, b=b, c=a * x + b), f"{a}x + {b} = {a * x + b}, so {a}x = {a * x} and x = {x}.")


def fence(r: random.Random) -> Pair:
    a, b = r.randint(5, 60), r.randint(5, 60)
    ask = r.choice(
        (
            "A garden is {a} metres long and {b} metres wide. How much fence goes around it?",
            "A room is {a} feet by {b} feet. What is its area?",
            "A field of {a} by {b} metres is to be fenced. How long is the fence, and how large is the field?",
            "The perimeter of a yard is {p} metres and it is {a} metres long. How wide is it?",
        )
    )
    return Pair(
        ask.format(a=a, b=b, p=2 * (a + b)),
        f"The perimeter is 2 * ({a} + {b}) = {2 * (a + b)}. The width is {b} and the area is {a} * {b} = {a * b}.",
    )


def mixture(r: random.Random) -> Pair:
    a, b, p, q = r.randint(1, 9), r.randint(1, 9), 5 * r.randint(1, 8), 5 * r.randint(9, 18)
    ask = r.choice(
        (
            "Mix {a} litres of a {p} percent solution with {b} litres of a {q} percent solution. "
            "What is the strength of the mixture?",
            "{a} kg of tea at {p} dollars and {b} kg at {q} dollars are mixed. What is a kilogram worth?",
        )
    )
    value = Fraction(a * p + b * q, a + b)
    return Pair(
        ask.format(a=a, b=b, p=p, q=q),
        f"({a} * {p} + {b} * {q}) / ({a} + {b}) = {a * p + b * q} / {a + b} = {value}, about {float(value):.1f}.",
    )


WORD_PROBLEMS: tuple[Callable[[random.Random], Pair], ...] = (
    gives_away, buys, speed, meeting, twice_as_many, discount, increase, interest, work_together, ages, production,
    morning_and_afternoon, share, balls, dice, coins, savings, recipe, consecutive, number_riddle, fence, mixture,
)  # fmt: skip
