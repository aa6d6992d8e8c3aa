"""Studies that compare arms, on trials that follow a formula."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

import msgspec
import numpy as np
import pytest
from fake_executor import FakeExecutor

from scalescope.corpora.corpus import Corpus
from scalescope.errors import InputError
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.collect import GRID, TUNE
from scalescope.studies.opening import open_study
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import size_of
from scalescope.studies.study import RESERVE_SECONDS
from scalescope.studies.tune import RATES, Tuned
from scalescope.training.recipe import Recipe
from scalescope.units import parse_budget

VARY = {"optimizer": ("adamw", "muon")}


@pytest.fixture
def opened(tmp_path, executor, corpus, monkeypatch):
    """Open a study with some text and a simulated machine."""

    @contextmanager
    def opening(budget="4e14", *, executor=executor, corpora=None, vary=VARY, **settings):
        texts = corpora or {}
        monkeypatch.setattr(
            "scalescope.studies.data.prepare_corpus", lambda source, *_, **__: texts.get(source, corpus)
        )
        study = open_study(
            tmp_path / "study",
            Settings(
                budget=parse_budget(budget), design="comparison" if vary else "isoflop", vary=vary, **settings
            ),
            executor,
            source=None,
            tokenizer=None,
            text_column="text",
            extend=False,
        )
        with study.ledger:
            yield study

    return opening


def run(study):
    prepared = study.prepare()
    study.grid(*prepared)
    return prepared


def grid(study):
    return [point.data for point in study.ledger.points() if point.data["phase"] == GRID]


class TestDesign:
    def test_gives_every_arm_the_same_sizes_tokens_and_seeds(self, opened, executor):
        with opened() as study:
            run(study)
            rows = grid(study)
            runs = {name: study.runs(name) for name in VARY["optimizer"]}
        settings = Counter((row["name"], row["tokens"], row["seed"]) for row in rows)
        assert set(settings.values()) == {2}
        for column in ("params_active", "tokens", "seed", "budget"):
            np.testing.assert_array_equal(runs["adamw"][column], runs["muon"][column])
        assert {trial.recipe.optimizer for trial in executor.trained} == {"adamw", "muon"}

    def test_trains_the_cheaper_half_of_the_sizes_with_two_seeds(self, opened):
        with opened() as study:
            design, _ = study.prepare()
        seeds = {}
        for rung in design.rungs:
            seeds.setdefault(size_of(rung.shape), []).append(rung.seed)
        counts = [len(seeds[size]) for size in sorted(seeds)]
        assert counts == [2] * ((len(counts) + 1) // 2) + [1] * (len(counts) // 2)
        assert len(counts) >= 5
        assert max(design.budgets) > 30 * min(rung.budgets[0] for rung in design.rungs)

    def test_costs_all_arms_no_more_than_the_budget(self, opened):
        spent = []
        for vary in (VARY, {"optimizer": ("adamw", "muon", "lion")}):
            with opened(vary=vary) as study:
                design, ready = study.prepare()
                tuning = sum(
                    6 * size_of(trial.shape) * trial.horizons[-1]
                    for key in study.ledger.trials("done")
                    for trial in [
                        msgspec.convert(
                            key.payload["trial"],
                            type(study.maker.tuning(study.arms[0], design.rungs[0], "x", Recipe()).trial),
                            strict=False,
                        )
                    ]
                )
                spent.append(ready.cost(design, ready.per_flop) + tuning)
                study.ledger.set_meta("design", None)
            (study.folder).rename(study.folder.with_name(f"study-{len(spent)}"))
        assert all(0.2 * 4e14 < one < 4e14 for one in spent)

    def test_holds_no_rung_out_and_its_text_says_so(self, opened):
        with opened() as study:
            design, words = study.draft()
        assert design.held_out_compute == 0
        assert "held out" not in design.summary()
        assert design.summary().startswith("comparison design: ")
        assert "2 variants" in words
        assert "  adamw  " in words

    def test_that_is_short_is_told(self, opened, executor):
        with opened("1e10") as study, pytest.raises(InputError, match="too small") as caught:
            study.prepare()
        named = str(caught.value).rsplit("about ", 1)[1]
        with opened(named) as study:
            run(study)
            assert "STU011" in {finding.code for finding in study.findings()}


class TestOrder:
    def test_takes_arms_in_turn_so_that_a_stop_leaves_them_even(self, opened, executor):
        executor.stop_after = 61
        with opened() as study, pytest.raises(KeyboardInterrupt):
            run(study)
        with Ledger.read(study.folder) as ledger:
            counts = Counter(point.data["arm"] for point in ledger.points() if point.data["phase"] == GRID)
        assert abs(counts["adamw"] - counts["muon"]) <= 6

    @pytest.mark.parametrize("after", [3, 14, 40])
    def test_an_interrupted_study_ends_with_the_points_of_an_undisturbed_one(
        self, opened, executor, clock, after, tmp_path
    ):
        executor.stop_after = after
        with opened() as study, pytest.raises(KeyboardInterrupt):
            run(study)
        with opened(executor=FakeExecutor(clock)) as study:
            run(study)
            resumed = {point.key: point.data for point in study.ledger.points()}
        (tmp_path / "study").rename(tmp_path / "resumed")
        with opened(executor=FakeExecutor(clock)) as study:
            run(study)
            assert {point.key: point.data for point in study.ledger.points()} == resumed

    def test_keeps_to_its_time_and_gives_up_the_dearest_points_of_all_arms(self, opened, executor, clock):
        began = clock.now
        executor.slowdown = lambda now: 1.0 if now < began + 300 else 2.5
        with opened("20m") as study:
            run(study)
            rows = grid(study)
            assert {"STU003", "STU004"} & {finding.code for finding in study.findings()}
        assert 0.6 * 1200 < clock.now - began + RESERVE_SECONDS < 1.2 * 1200
        reached = {arm: max(row["budget"] for row in rows if row["arm"] == arm) for arm in ("adamw", "muon")}
        assert reached["adamw"] == reached["muon"]


class TestTuning:
    def rates(self, study):
        return msgspec.convert(study.ledger.meta("tuned"), dict[str, Tuned], strict=False)

    def test_measures_every_arm_on_two_sizes(self, opened, executor):
        executor.noise = 0.0
        executor.gains = lambda trial: 0.9 if trial.recipe.optimizer == "muon" else 1.0
        with opened() as study:
            study.prepare()
            tuned = self.rates(study)
            notes = study.ledger.notes("rate")
        assert [(note.data["arm"], len(note.data["tried"])) for note in notes] == [
            (arm, len(RATES)) for arm in ("adamw", "adamw", "muon", "muon")
        ]
        for one in tuned.values():
            (small, at_small), (large, at_large) = one.rates
            assert small < large
            assert (at_small, at_large) == (pytest.approx(1.0, abs=0.02), pytest.approx(1.0, abs=0.02))

    def test_goes_on_beyond_the_edge_where_the_best_rate_is(self, opened, executor):
        executor.noise, executor.rate_optimum = 0.0, 6.0
        with opened() as study:
            study.prepare()
            assert self.rates(study)["muon"].rates[0][1] == pytest.approx(6.0, rel=0.1)
            assert study.ledger.findings() == ()

    def test_tells_a_best_rate_that_stays_at_the_edge(self, opened, executor):
        executor.noise, executor.rate_optimum = 0.0, 1e4
        with opened() as study:
            study.prepare()
            told = study.ledger.findings()
        assert {finding.code for finding in told} == {"STU012"}
        assert len(told) == 4

    def test_tells_a_rate_that_moves_with_size_and_uses_what_was_measured(self, opened, executor):
        executor.noise = 0.0

        def worse(trial):
            off = np.log(trial.recipe.rate * (trial.shape.width / 20) ** 1.5)
            return float(np.exp(-0.2 * off**2)) if trial.recipe.optimizer == "muon" else 1.0

        executor.gains, executor.rate_optimum = worse, 1.0
        with opened() as study:
            run(study)
            (finding,) = [one for one in study.ledger.findings() if one.code == "STU013"]
            tuned = self.rates(study)["muon"]
        assert finding.text.startswith("The best rate of muon moves with size")
        (small, at_small), (large, at_large) = tuned.rates
        middle = int((small * large) ** 0.5)
        assert at_small > tuned.at(middle).rate > at_large
        assert tuned.at(10 * large).rate == pytest.approx(at_large)
        used = {
            t.shape.width: t.recipe.rate
            for t in executor.trained
            if "tune" not in t.name and t.recipe.optimizer == "muon"
        }
        assert used[max(used)] == pytest.approx(at_large)

    def test_of_all_arms_takes_turns(self, opened, executor):
        with opened() as study:
            study.prepare()
        tunings = [key for key in executor.started if "tune" in key]
        assert [key.split("/")[0] for key in tunings] == ["adamw", "muon"] * (len(tunings) // 2)


class TestFaults:
    def test_an_arm_that_fails_leaves_the_others_alone_and_is_told_with_its_cause(self, opened, executor):
        class Muon(set):
            def __contains__(self, name):
                return executor.trained[-1].recipe.optimizer == "muon"

        executor.failing = Muon()
        with opened() as study:
            run(study)
            findings = {finding.code: finding.text for finding in study.findings()}
            assert len(study.runs("adamw")) > 15
            with pytest.raises(InputError, match="no run of muon"):
                study.runs("muon")
        assert findings["STU014"].startswith("muon gave no point: DivergedError: diverged")

    def test_points_that_others_lack_are_counted(self, opened, executor):
        with opened() as study:
            design, ready = study.prepare()
            planned = ready.planned(design)
            study.ledger.add_trials({planned[0].key: planned[0].payload()})
            study.ledger.fail(planned[0].key, "it burnt")
            study.grid(design, ready)
            told = {finding.code: finding.text for finding in study.findings()}
        assert told["STU015"].startswith(f"{len(planned[0].budgets)} of the points")

    def test_what_a_trial_tells_is_a_finding_of_the_study_once(self, opened, executor):
        finding = {"code": "TRN120", "text": "The loss leapt.", "hint": "Lower the rate."}
        with opened() as study:
            design, ready = study.prepare()
            executor.tells = {rung.name: finding for rung in design.rungs[:3]}
            study.grid(design, ready)
            assert [one.code for one in study.findings()].count("TRN120") == 1


class TestShapes:
    def test_experts_count_what_a_token_meets_and_cost_that(self, opened):
        with opened(vary={"experts": ("dense", "8x2")}) as study:
            run(study)
            dense, sparse = study.runs("experts=dense"), study.runs("experts=8x2")
        assert (dense.count, sparse.count) == ("params_matmul", "params_active")
        assert (sparse["params_matmul"] > 2 * dense["params_matmul"])[-1]
        np.testing.assert_allclose(sparse.size, dense["params_active"], rtol=0.35)
        np.testing.assert_allclose(sparse.compute, 6 * sparse.size * sparse.tokens)
        np.testing.assert_array_equal(sparse.tokens, dense.tokens)

    def test_a_plain_study_of_another_family_is_laid_for_its_own_sizes(self, opened):
        from scalescope.training.shape_options import Routed, ShapeOptions

        with opened("3e14", vary={}, shape=ShapeOptions(experts=Routed(count=8, top_k=2))) as study:
            design, ready = study.prepare()
            again = type(design).from_dict(design.to_dict())
            planned = ready.planned(design)
        assert again == design
        assert all(item.trial.shape.experts.count == 8 for item in planned)
        for rung in design.rungs:
            cost = 6 * size_of(rung.shape) * np.array(rung.horizons)
            np.testing.assert_allclose(cost, rung.budgets, rtol=0.03)


class TestData:
    def write(self, folder, name, content, held_out, corpus):
        (folder / name).mkdir()
        (folder / name / "train.bin").write_bytes(content)
        (folder / name / "held_out.bin").write_bytes(held_out)
        sizes = {"train_tokens": len(content), "held_out_tokens": len(held_out), "digest": name}
        return replace(corpus, **sizes).at(folder / name / "train.bin", folder / name / "held_out.bin")

    def test_every_arm_is_judged_on_the_text_of_the_baseline_and_a_leak_is_told(
        self, opened, executor, corpus, tmp_path
    ):
        draw = np.random.default_rng(0)
        first, second, held_out = (
            draw.integers(0, 256, n, dtype=np.uint8).tobytes() for n in (2**25, 2**25, 9999)
        )
        texts = {
            "clean": self.write(tmp_path, "clean", first, held_out, corpus),
            "leaky": self.write(tmp_path, "leaky", second + held_out, b"others" * 50, corpus),
        }
        seen = []
        submit = executor.submit
        executor.submit = lambda task: (seen.append(task), submit(task))
        with opened("3e14", corpora=texts, vary={"data": ("clean", "leaky")}) as study:
            run(study)
            told = {finding.code: finding.text for finding in study.findings()}
            assert study.ledger.meta("identity")["corpora"] == {"clean": "clean", "leaky": "leaky"}
        trained = [task for task in seen if task.function.endswith("trial:run")]
        assert {task.files["train"].parent.name for task in trained} == {"clean", "leaky"}
        assert {task.files["held_out"].parent.name for task in trained} == {"clean"}
        assert {Corpus.from_dict(task.payload["corpus"]).held_out_tokens for task in trained} == {9999}
        assert told["STU017"].startswith("64 of 64 passages")

    def test_another_tokenizer_is_refused(self, opened, corpus):
        texts = {"a": corpus, "b": replace(corpus, tokenizer="words", tokenizer_digest="7", digest="b")}
        with (
            pytest.raises(InputError, match="b has the tokens of words"),
            opened(corpora=texts, vary={"data": ("a", "b")}),
        ):
            pass


OLD = {
    "corpus": "3f2a",
    "settings": {
        "context": 128,
        "precision": "fp32",
        "recipe": {
            "rate": 1.0,
            "width_power": 0.5,
            "matrix_rate": 0.03,
            "head_rate": 0.016,
            "embedding_rate": 0.11,
            "norm_rate": 0.007,
            "optimizer": "muon",
            "matrix_rate_adamw": 0.004,
            "momentum": 0.9,
            "beta1": 0.9,
            "beta2": 0.99,
            "weight_decay": 0.0,
            "clip": 1.0,
            "batch_tokens": 512.0,
            "batch_reference": 2e5,
            "batch_power": 0.4,
            "warmup_share": 0.05,
            "warmup_steps": 10,
            "cooldown_share": 0.25,
            "cooldown_steps": 20,
        },
        "evaluation_tokens": 131_072,
        "seed": 0,
        "held_out_seeds": 2,
    },
    "design": {"kind": "isoflop", "budget": {"seconds": None, "flop": 3e14}},
}
"""What studies wrote before there was anything to vary."""


class TestIdentity:
    @pytest.fixture
    def old(self, tmp_path, no_power_cuts):
        """A folder as it was made then, its design laid."""

        def make(identity=OLD):
            with Ledger.open(tmp_path / "study", identity) as ledger:
                ledger.set_meta("recipe", identity["settings"]["recipe"] | {"rate": 1.25})

        return make

    def test_of_an_older_study_still_matches(self, old, opened):
        old()
        with opened("3e14", vary={}) as study:
            design, ready = study.prepare()
        assert ready.recipe.rate == 1.25
        assert ready.recipe.peaks.matrix == 0.03
        assert design.n_points > 20
        with opened("3e14", vary={}) as study:
            assert study.prepare()[0] == design

    def test_of_an_older_study_with_other_settings_does_not(self, old, opened):
        changed = msgspec.json.decode(msgspec.json.encode(OLD))
        changed["settings"]["recipe"]["matrix_rate"] = 0.05
        old(changed)
        with pytest.raises(InputError, match=r"recipe\.matrix_rate is 0\.05 there"), opened("3e14", vary={}):
            pass

    @pytest.mark.parametrize(
        "settings", [{"task": "masked"}, {"vary": VARY}, {"recipe": Recipe(z_loss=1e-4)}]
    )
    def test_a_setting_that_is_new_and_not_at_its_default_is_another_study(self, old, opened, settings):
        old()
        with (
            pytest.raises(InputError, match="holds another study"),
            opened("3e14", **({"vary": {}} | settings)),
        ):
            pass

    def test_how_often_a_text_may_be_read_does_not_make_it_another(self, opened):
        for most in (4.0, 16.0):
            with opened("3e14", vary={}, max_epochs=most) as study:
                study.prepare()


def test_tuning_comes_before_the_grid(opened, executor):
    with opened() as study:
        run(study)
        phases = [point.data["phase"] for point in study.ledger.points()]
    assert [phase for phase, _ in groupby(phases)] == [TUNE, GRID]
