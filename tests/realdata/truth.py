"""Figures of kpid against the tables of independently computed ones.

A reading is a mapping (kpi, window) -> {start ms: snapshot} for totals, with the start None for `all`, and
(kpi, window, group) likewise.
"""

import csv
import json
import os
from datetime import datetime, timezone
from decimal import Decimal

EXACT, RATIO, DISTINCT, QUANTILE = "exact", "ratio", "distinct", "quantile"
DISTINCTS = {"customers", "unique_ip", "unique_ip_ua", "unique_ip_pageview", "uv", "sessions", "sessions_view",
             "sessions_cart", "sessions_purchase"}
RATIOS = {"aov", "aov_created", "on_time_day_rate", "on_time_strict_rate", "review_score_avg", "sla_rate"}


def kind_of(column):
    return DISTINCT if column in DISTINCTS else RATIO if column in RATIOS else EXACT


def ms(text):
    """Start of a bucket as the tables name it, in ms."""
    if text.isdigit():
        return int(text) * 1000
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d", "%Y-%m"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()) * 1000
        except ValueError:
            continue
    raise ValueError(text)


def same(got, want, kind, tolerance=0):
    """got: a Decimal, or None for nothing; want: the table's text, "" where it is undefined."""
    if got is None or want == "":
        return got is None and (want == "" or Decimal(want) == 0)
    got, want = Decimal(got), Decimal(want)
    if kind == EXACT:
        return got == want
    if kind == RATIO:
        return abs(got - want) <= Decimal("0.000001")
    if kind == DISTINCT:
        return abs(got - want) <= max(Decimal(1), want * Decimal("0.02"))
    return abs(got - want) <= max(abs(want) * Decimal("0.01"), Decimal(str(tolerance)))


class Comparison:
    def __init__(self, folder, reading):
        self.folder, self.reading, self.figures, self.wrong = folder, reading, 0, []

    def rows(self, name):
        with open(os.path.join(self.folder, "truth", name + ".csv"), newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def value(self, snapshot, part=None):
        if snapshot is None:
            return None
        value = snapshot["parts"].get(part) if part else snapshot["value"]
        return None if value is None else Decimal(value)

    def check(self, name, got, want, kind, tolerance=0):
        self.figures += 1
        if not same(got, want, kind, tolerance):
            self.wrong.append(f"{name}: kpid {got}, truth {want or 'nothing'}")

    def buckets(self, table, key, window, columns):
        """columns: {column of the table: KPI}. No bucket with anything in it may be left over."""
        rows = self.rows(table)
        starts = {ms(row[key]) for row in rows}
        for column, kpi in columns.items():
            have = self.reading.get((kpi, window), {})
            for row in rows:
                self.check(f"{table}.{column} {row[key]}", self.value(have.get(ms(row[key]))), row[column],
                           kind_of(column))
            for start, snapshot in have.items():
                if start not in starts and self.value(snapshot):
                    self.wrong.append(f"{table}.{column}: {start} is not in the table: {snapshot['value']}")

    def whole(self, kpi, want, kind=EXACT, group=None):
        key = (kpi, "all") if group is None else (kpi, "all", group)
        self.check(f"{kpi} {group or 'overall'}", self.value(self.reading.get(key, {}).get(None)), want, kind)

    def overall(self, table, columns):
        for column, kpi in columns.items():
            self.whole(kpi, self.rows(table)[0][column], kind_of(column))

    def latencies(self, table, metrics, tolerance, grouped=()):
        """grouped: the metrics whose figures by group are in the table too."""
        for row in self.rows(table):
            if row["metric"] not in metrics:
                continue
            scope = row["scope"].split(":")
            if scope[0] == "overall":
                snapshot = self.reading.get((row["metric"], "all"), {}).get(None)
            elif scope[0] == "event-month":
                snapshot = self.reading.get((row["metric"], "month"), {}).get(ms(scope[1]))
            elif row["metric"] in grouped:
                snapshot = self.reading.get((row["metric"], "all", scope[1]), {}).get(None)
            else:
                continue
            name = f"{table} {row['metric']} {row['scope']}"
            self.check(name + " n", self.value(snapshot, "n"), row["n"], EXACT)
            for part in ("min", "mean", "max"):
                got, want = self.value(snapshot, part), row[part]
                self.figures += 1
                if (got is None) != (want == "") or (want and abs(got - Decimal(want)) > Decimal(str(tolerance))):
                    self.wrong.append(f"{name} {part}: kpid {got}, truth {want}")
            for part in ("p50", "p90", "p95", "p99"):
                self.check(f"{name} {part}", self.value(snapshot, part), row[part], QUANTILE, tolerance)


def online_retail(c):
    columns = {name: name for name in (
        "lines", "invoices_sale", "invoices_sale_positive", "units_sold", "gross_revenue", "aov",
        "invoices_cancelled", "cancelled_value", "net_revenue", "customers")}
    c.buckets("online_retail_daily", "day", "day", columns)
    c.buckets("online_retail_daily", "day", "day", {"lines": "lines_again", "net_revenue": "net_revenue_again"})
    c.buckets("online_retail_hourly", "hour", "hour", columns)
    c.buckets("online_retail_monthly", "month", "month", columns)
    c.overall("online_retail_overall", columns)


def olist_classified(c):
    daily = [column for column in c.rows("olist_daily")[0] if column != "day"]
    c.buckets("olist_daily", "day", "day", {column: column for column in daily})
    summary = {row["key"]: row["value"] for row in c.rows("olist_summary")}
    for key, kpi in {"orders": "orders_created", "revenue": "revenue_created", "delivered": "orders_delivered",
                     "ontime_day": "on_time_day", "ontime_strict": "on_time_strict", "reviews": "reviews",
                     "score_sum": "review_score_sum", "complaints_score_le_2": "complaints_score_le_2",
                     "complaints_voted_problem": "complaints_voted_problem"}.items():
        c.whole(kpi, summary[key])
    for key, kpi in {"aov": "aov_created", "on_time_day_rate": "on_time_day_rate",
                     "on_time_strict_rate": "on_time_strict_rate", "review_score_avg": "review_score_avg"}.items():
        c.whole(kpi, summary[key], RATIO)
    for score in range(1, 6):
        c.whole("score_answers", summary[f"score_{score}"], group=str(score))
    c.whole("open_orders_eod", c.rows("olist_daily")[-1]["open_orders_eod"])
    c.latencies("olist_latency", ("created_to_paid", "created_to_delivered", "paid_to_delivered",
                                  "delivered_minus_promised", "survey_sent_to_answered"), 0.0011)


def uci_incident_log(c):
    daily = [column for column in c.rows("uci_incident_daily")[0] if column != "day"]
    c.buckets("uci_incident_daily", "day", "day", {column: column for column in daily})
    c.whole("open_backlog_eod", c.rows("uci_incident_daily")[-1]["open_backlog_eod"])
    summary = {row["key"]: row["value"] for row in c.rows("uci_incident_summary")}
    for key, kpi in {"incidents": "opened", "first_response_before_open": "first_response_before_open",
                     "sla_met": "closed_within_sla", "reopen_events": "reopens", "reopened": "reopened",
                     "resolved_ts_missing": "resolved_ts_missing"}.items():
        c.whole(kpi, summary[key])
    c.whole("sla_rate", str(Decimal(summary["sla_met"]) / Decimal(summary["incidents"])), RATIO)
    # A reply comes before the priority of the closing is known, so its latency has no figures by priority.
    grouped = ("opened_to_resolved", "opened_to_closed", "resolved_to_closed")
    c.latencies("uci_incident_latency", ("opened_to_first_response",) + grouped, 0.000001, grouped)


def apache_semicomplete(c):
    for name, window in (("hourly", "hour"), ("daily", "day")):
        c.buckets(f"apache_{name}", "bucket_epoch", window, {"pageviews": "pageviews", "unique_ip_pageview": "unique_ip"})
        c.buckets(f"apache_pageviews_{name}", "bucket_epoch", window, {
            "requests": "pageviews", "bytes": "bytes", "unique_ip": "unique_ip", "unique_ip_ua": "unique_ip_ua"})
    c.overall("apache_overall", {"pageviews": "pageviews", "unique_ip_pageview": "unique_ip"})
    c.overall("apache_pageviews_overall", {"requests": "pageviews", "bytes": "bytes", "unique_ip": "unique_ip",
                                           "unique_ip_ua": "unique_ip_ua"})


def comcast_complaints(c):
    c.buckets("comcast_daily", "day", "day", {"opened": "opened"})
    for row in c.rows("comcast_summary"):
        if row["key"] == "complaints":
            c.whole("opened", row["value"])
        else:
            c.whole("opened", row["value"], group=row["key"].removeprefix("status_"))


def rees46_oct2019(c):
    """The tables without the rows that came twice, which have equal ids."""
    columns = {name: name for name in ("views", "carts", "purchases", "revenue", "uv", "sessions", "sessions_view",
                                       "sessions_cart", "sessions_purchase")}
    for table, window in (("minute", "minute"), ("10min", "10min"), ("hourly", "hour")):
        c.buckets(f"rees46_{table}_dedup", "bucket_epoch", window, columns)
    c.overall("rees46_overall_dedup", columns)
    summary = {row["key"]: row["value"] for row in c.rows("rees46_summary_dedup")}
    for key, kpi in {"events": "events", "sessions": "session_begun", "view_then_cart": "view_then_cart",
                     "view_then_purchase": "view_then_purchase", "cart_then_purchase": "cart_then_purchase",
                     "revenue": "revenue"}.items():
        c.whole(kpi, summary[key])
    for key in ("sessions_view", "sessions_cart", "sessions_purchase"):
        c.whole(key, summary[key], DISTINCT)
    for key in ("aov_per_purchase_session", "conversion_session"):
        c.whole(key, summary[key], RATIO)
    c.whole("view_to_cart", str(Decimal(summary["view_then_cart"]) / Decimal(summary["sessions_view"])), RATIO)
    durations = c.reading.get(("session_duration", "all"), {}).get(None)
    for part, kind in {"n": EXACT, "min": EXACT, "mean": RATIO, "max": EXACT, "p50": QUANTILE, "p90": QUANTILE,
                       "p95": QUANTILE, "p99": QUANTILE}.items():
        c.check(f"session_duration {part}", c.value(durations, "ended" if part == "n" else part),
                summary["session_duration_s_" + part], kind)


SETS = {f.__name__: f for f in (online_retail, olist_classified, uci_incident_log, apache_semicomplete,
                                comcast_complaints, rees46_oct2019)}

# Sets whose events are to be sent under another key than the one they come with.
KEYS = {"rees46_oct2019": "session_id"}


def keyed(name, lines):
    """Lines of to_events.py under the key that the set's measures need."""
    for line in lines:
        event = json.loads(line) if name in KEYS else {}
        yield line.replace(f'"key": "{event["key"]}"', f'"key": "{event["value"][KEYS[name]]}"', 1) \
            if "value" in event else line


def put(reading, snapshot):
    """Keeps the latest of a window; later lines of a replay replace earlier ones."""
    name = (snapshot["kpi"], snapshot["window"])
    if snapshot["group"]:
        name += ("|".join(str(value) for value in snapshot["group"].values()),)
    start = None if snapshot["window"] == "all" else snapshot["start_ms"]
    have = reading.setdefault(name, {})
    if start not in have or snapshot["revision"] >= have[start]["revision"]:
        have[start] = snapshot


def from_lines(lines):
    reading = {}
    for line in lines:
        snapshot = json.loads(line, parse_float=Decimal)
        if "kpi" in snapshot and "value" in snapshot:
            put(reading, snapshot)
    return reading


def from_redis(client):
    reading = {}
    for key in client.scan_iter("kpi:win:*", count=10000):
        for field, text in client.hgetall(key).items():
            if not field.startswith("@"):
                put(reading, json.loads(text, parse_float=Decimal))
    for key in client.scan_iter("kpi:snap:*:all}", count=10000):
        for field, text in client.hgetall(key).items():
            if field.endswith("@final"):
                put(reading, json.loads(text, parse_float=Decimal))
    return reading


def compare(name, folder, reading):
    """(figures compared, list of differences)."""
    comparison = Comparison(folder, reading)
    SETS[name](comparison)
    return comparison.figures, comparison.wrong
