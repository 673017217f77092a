"""A made-up shop's log, for the notebooks: seeded, and with structure that a model can find."""

import numpy as np
import pandas as pd

TOPICS, TASTES = 12, 8


def shop_log(rows: int = 20_000, users: int = 800, items: int = 400, seed: int = 0) -> pd.DataFrame:
    """Impressions of 30 days, in the order of time: who saw what, and what came of it.

    Users have a taste for some topics and a budget. A click depends on taste and on the topic of the last click; a
    purchase, which needs a click, on the price; the seconds of a visit on the topic. What is cheap for a user is clicked
    less and bought more, so that the tasks conflict.

    Args:
        rows: int. Defaults to `20_000`.
        users: int. Defaults to `800`.
        items: int. Few are shown often, most seldom. Defaults to `400`.
        seed: int. Defaults to `0`.
    """
    draw = np.random.default_rng(seed)
    likes = draw.normal(0.0, 1.5, (TASTES, TOPICS))
    taste, budget = draw.integers(0, TASTES, users), draw.normal(3.0, 0.5, users)
    topic, price = draw.integers(0, TOPICS, items), np.exp(draw.normal(3.0, 0.7, items)).round(2)
    user = draw.integers(0, users, rows)
    item = (items * draw.random(rows) ** 2).astype(int)
    time = 1_700_000_000 + np.sort(draw.integers(0, 30 * 86_400, rows))
    cheap = budget[user] - np.log(price[item])  # the price's distance below the user's budget
    last, click = np.full(users, -1), np.zeros(rows, int)
    for row in range(rows):
        same = last[user[row]] == topic[item[row]]
        appeal = likes[taste[user[row]], topic[item[row]]] + 1.5 * same - 0.8 * cheap[row] - 1.0
        click[row] = draw.random() < 1.0 / (1.0 + np.exp(-appeal))
        if click[row]:
            last[user[row]] = topic[item[row]]
    buy = click * (draw.random(rows) < 1.0 / (1.0 + np.exp(-(2.0 * cheap - 0.5))))
    watch = np.where(click == 1, np.exp(draw.normal(2.0 + 0.3 * likes[taste[user], topic[item]], 0.4)), 0.0)
    return pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in user],
            "item_id": [f"i{number}" for number in item],
            "topic": [f"topic {topic[number]}" for number in item],
            "price": price[item],
            "device": draw.choice(["phone", "tablet", "desktop"], rows, p=[0.6, 0.1, 0.3]),
            "country": [("de", "fr", "it", "pl")[number % 4] for number in user],
            "time": time,
            "click": click,
            "buy": buy,
            "watch_seconds": watch.round(1),
        }
    )
