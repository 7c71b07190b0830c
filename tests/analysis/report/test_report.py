"""Reports: whole, well-formed, escaped, and without a thread to anything outside."""

import re
import stat
from html.parser import HTMLParser

import pandas as pd
import pytest

from directories import make_evaluation, make_run, make_suite, make_sweep
from heurax import cli
from heurax.analysis.report import report
from heurax.analysis.report.page import Facts, Page, Section, Table, format_value, render, write_page
from heurax.errors import HeuraxError

VOID = {"meta", "link", "br", "img", "input"}
NASTY = '<img src=x onerror=alert(1)> & "a" $b$'


class Elements(HTMLParser):
    """The elements of a page; fails where they do not close as they opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def check(path):
    """What holds for every report; returns its elements and its words."""
    text = path.read_text()
    page = Elements(text)
    words = " ".join(" ".join(page.text).split())
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|@import|<script|javascript:|\bsrc=(?!x)", text)
    assert all(re.match(r"#|data:", value) for value in page.values("href"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {value[1:] for value in page.values("href") if value.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]*)\)", text))
    assert targets <= set(ids)
    assert not {"img", "script", "iframe", "i", "b"} & set(page.names)
    assert page.names.count("h1") == page.names.count("main") == 1
    assert all(value for value in page.values("aria-label"))
    return page, words


def test_the_report_of_a_run_has_its_rule_its_evaluation_and_its_command(tmp_path):
    directory = make_run(tmp_path / "a run", gradient_norm=(1.0, 2.0, 3.0, 4.0), constant=(0.0,) * 4)
    make_evaluation(directory)
    assert cli.main(["report", str(directory)]) == 0
    page, words = check(directory / "report.html")
    assert "LearnableSGD in SupervisedTraining on Quadratic, improved by Descent with PersistentES: finished." in words
    assert page.names.count("figure") == 6  # two metrics, the rule, two of the evaluation, the schedules
    assert "learned minus tuned adam, paired by seed: -0.2000 [-0.3000, -0.1000], lower on 2 of 2 seeds" in words
    assert f"heurax train '{directory}/config.yaml' --run_dir 'runs/a run-again'" in words
    for fact in ("0123456789ab", "outer.optimizer.warmup_steps", "0.7 MB", "meta-loss at the end 0.25"):
        assert fact in words
    assert "prefers-color-scheme: dark" in (directory / "report.html").read_text()


def test_a_run_that_was_stopped_says_how_it_goes_on(tmp_path):
    directory = make_run(tmp_path / "run", losses=(1.0, 0.5), status="stopped", artifact=False, starts=2)
    (directory / "uncommitted.diff").touch()
    words = check(report(directory))[1]
    assert words.count("heurax train 'a config'") == 2
    assert f"digits {'0' * 64}" in words
    assert "The code differed from its commit by uncommitted.diff" in words
    assert "stopped by a signal; the same command resumes it" in words
    assert "20 of 40" in words


def test_a_run_that_diverged_says_so(tmp_path):
    losses, diverged = (1.0, None, None), (0.1, 0.9, 1.0)
    words = check(report(make_run(tmp_path / "run", losses, status=None, artifact=False, diverged=diverged)))[1]
    assert "meta-loss at the end not finite" in words
    assert "still going on, killed, or ended by an error" in words


def test_a_run_that_has_only_begun_has_a_report(tmp_path):
    directory = make_run(tmp_path / "run", losses=(), status=None, artifact=False, starts=0)
    (directory / "metrics.jsonl").unlink()
    words = check(report(directory))[1]
    assert "Nothing has been logged yet." in words
    assert "Versions and devices were not recorded." in words
    assert "0 of 40" in words


def test_a_run_of_another_version_of_heurax_has_a_report(tmp_path):
    directory = make_run(tmp_path / "run", artifact=False)
    with (directory / "config.yaml").open("a") as file:
        file.write("what_is_new: 1\n")
    assert (
        "this version of heurax does not read the run's config: unknown field what_is_new"
        in check(report(directory))[1]
    )


def test_the_report_of_an_evaluation_ranks_its_optimizers(tmp_path):
    page, words = check(report(make_evaluation(tmp_path / "evaluation")))
    assert "the learned optimizer ends lower" in words
    assert words.index("learned - 0.2000") < words.index("adam 0.01 0.4000 [0.2000, 0.8000]")
    assert page.names.count("figure") == 2


def test_the_report_of_a_sweep_has_its_best_its_failures_and_its_fields(tmp_path):
    page, words = check(report(make_sweep(tmp_path / "sweep")))
    assert "Best: meta loss 0.1 at outer.optimizer.learning_rate 0.001" in words
    assert "003-seed1 theta is not finite" in words
    assert page.names.count("figure") == 5  # parallel, importance, two responses, the trials
    assert f"heurax sweep {tmp_path}/sweep/sweep.yaml --out runs/sweep-again" in words


def test_the_report_of_a_suite_has_its_scores_its_tasks_and_its_costs(tmp_path):
    page, words = check(report(make_suite(tmp_path / "suite")))
    assert "learned optimizer's is +0.500 [+0.400, +0.600], better on 2 of 2 tasks" in words
    assert page.names.count("figure") == 7  # scores and profile of two horizons, tasks, the curves of two tasks
    assert "heurax evaluate quickstart --suite suite.yaml --out suite-again" in words
    assert "adamw 0.2 [0.1, 0.4] yes" in words  # the best baseline of a task, at the edge of its grid


def test_a_sweep_without_a_result_has_a_report(tmp_path):
    directory = make_sweep(tmp_path / "sweep")
    table = (directory / "sweep.json").read_text()
    (directory / "sweep.json").write_text(re.sub(r'"metric": [\d.]+', '"metric": null', table))
    assert "no trial has a result yet" in check(report(directory))[1]


def test_whatever_was_written_stays_text(tmp_path):
    directory = tmp_path / NASTY
    make_run(directory, artifact=False, **{NASTY: (1.0, 2.0, 3.0, 4.0)})
    make_evaluation(directory, baseline=NASTY)
    make_sweep(tmp_path / "sweep", error=NASTY, choices=(NASTY, "FullES"))
    for path in (directory, tmp_path / "sweep"):
        assert NASTY in check(report(path))[1]


def test_only_a_report_is_replaced(tmp_path, capsys):
    directory = make_evaluation(tmp_path / "evaluation")
    out = tmp_path / "mine.html"
    out.write_text("<p>mine</p>")
    assert cli.main(["report", str(directory), "--out", str(out)]) == 2
    assert "is there and is no report of heurax's; give another --out" in capsys.readouterr().err
    assert out.read_text() == "<p>mine</p>"
    with pytest.raises(HeuraxError, match="is a directory; give a file for the report"):
        report(directory, tmp_path)
    first = report(directory)
    first.write_text(first.read_text().replace("</body>", "<p>old</p></body>"))
    assert "<p>old</p>" not in report(directory).read_text()
    assert stat.S_IMODE(first.stat().st_mode) & stat.S_IRUSR


def test_what_cannot_be_reported_is_said_in_one_sentence(tmp_path):
    with pytest.raises(HeuraxError, match=r"nothing to report on at .*: no such directory"):
        report(tmp_path / "nowhere")
    with pytest.raises(HeuraxError, match=r"holds no run, sweep or evaluation: it has none of sweep\.json, config"):
        report(tmp_path)
    with pytest.raises(HeuraxError, match=r"cannot write .*nowhere/report\.html"):
        report(make_evaluation(tmp_path / "evaluation"), tmp_path / "nowhere" / "report.html")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "-"),
        (float("inf"), "inf"),
        (True, "yes"),
        (20000.0, "20,000"),
        (0.00012345, "0.0001234"),
        ([], "none"),
        ({"momentum": 0.9}, "momentum 0.9"),
        ([{"class_path": "heurax.rules.OptaxOptimizer", "init_args": {"name": "sgd"}}], "OptaxOptimizer(name sgd)"),
    ],
)
def test_values_are_short(value, text):
    assert format_value(value) == text


def test_pages_are_made_of_data(tmp_path):
    table = Table("numbers", pd.DataFrame({"name": ["a"], "value": [0.5]}))
    page = Page("kind", "title", "lead", Facts([("fact", 1)]), [Section("A Section!", [table], folded=True)])
    assert table.numeric == [False, True]
    text = render(page)
    assert '<section id="a-section"' in text
    assert '<td class="number">0.5</td>' in text
    write_page(tmp_path / "page.html", page)
    check(tmp_path / "page.html")
