"""Views of the schema `sweeper`: what people, the command line and the dashboard's reader query."""

from __future__ import annotations

TRIALS = """
SELECT s.name AS sweep, y.method, y.repeat, t.number, t.bracket, t.origin, t.state, t.diverged,
       t.score, t.step, t.params, t.trained_steps, t.wasted_steps, t.device_seconds,
       t.wasted_seconds, t.reason, t.created_at, t.finished_at, t.checkpoint, t.study_id
FROM sweeper.trial t
JOIN sweeper.study y ON y.id = t.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE s.confirms IS NULL
"""

CURVES = """
SELECT s.name AS sweep, y.method, y.repeat, r.number, t.bracket, t.origin, t.state,
       r.index AS rung, r.step, r.score, r.weights_hash, r.class_iou, r.recorded_at
FROM sweeper.rung r
JOIN sweeper.trial t ON t.study_id = r.study_id AND t.number = r.number
JOIN sweeper.study y ON y.id = r.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE s.confirms IS NULL
"""

_CONFIRMED = """
SELECT p.name AS sweep, {part}, y.method, y.repeat, t.origin AS configuration, t.number, t.seed,
       t.state, t.diverged, t.score, r.class_iou, t.params, t.trained_steps,
       t.wasted_steps, t.device_seconds, t.reason, t.finished_at, t.checkpoint, t.study_id
FROM sweeper.trial t
JOIN sweeper.study y ON y.id = t.study_id
JOIN sweeper.sweep a ON a.id = y.sweep_id
JOIN sweeper.sweep s ON s.id = {stage}
JOIN sweeper.sweep p ON p.id = s.confirms
LEFT JOIN sweeper.rung r ON r.study_id = t.study_id AND r.number = t.number
WHERE s.stage IS NOT NULL
"""
CONFIRMATIONS = _CONFIRMED.format(part="s.stage", stage="a.id")
EQUAL_COST = _CONFIRMED.format(part="a.equal_cost AS part", stage="a.confirms")

PROGRESS = """
SELECT s.name AS sweep, y.id AS study_id, y.method, y.repeat, y.state, y.reason, y.budget,
       count(t.number) AS planned,
       count(*) FILTER (WHERE t.state = 'COMPLETE') AS complete,
       count(*) FILTER (WHERE t.state = 'PRUNED' AND NOT t.diverged) AS pruned,
       count(*) FILTER (WHERE t.diverged) AS diverged,
       count(*) FILTER (WHERE t.state = 'FAIL') AS failed,
       count(*) FILTER (WHERE t.state = 'RUNNING') AS undecided,
       max(t.score) FILTER (WHERE t.state = 'COMPLETE' AND s.confirms IS NULL) AS best_score,
       coalesce(sum(t.trained_steps), 0)::bigint AS trained_steps,
       coalesce(sum(t.wasted_steps), 0)::bigint AS wasted_steps,
       coalesce(sum(t.device_seconds), 0) AS device_seconds
FROM sweeper.study y
JOIN sweeper.sweep s ON s.id = y.sweep_id
LEFT JOIN sweeper.trial t ON t.study_id = y.id
GROUP BY s.id, y.id
"""

LEADERBOARD = """
SELECT s.name AS sweep, y.method, y.repeat, b.number AS best_trial, b.score,
       p.score AS published_score, c.trials, c.complete,
       c.pruned, c.diverged, c.failed, y.budget, b.params, y.state
FROM sweeper.study y
JOIN sweeper.sweep s ON s.id = y.sweep_id
LEFT JOIN LATERAL (
    SELECT number, score, params FROM sweeper.trial
    WHERE study_id = y.id AND state = 'COMPLETE' ORDER BY score DESC, number LIMIT 1) b ON true
LEFT JOIN sweeper.trial p ON p.study_id = y.id AND p.number = 0 AND p.state = 'COMPLETE'
LEFT JOIN LATERAL (
    SELECT count(*) AS trials, count(*) FILTER (WHERE state = 'COMPLETE') AS complete,
           count(*) FILTER (WHERE state = 'PRUNED' AND NOT t.diverged) AS pruned,
           count(*) FILTER (WHERE t.diverged) AS diverged,
           count(*) FILTER (WHERE state = 'FAIL') AS failed
    FROM sweeper.trial t WHERE t.study_id = y.id) c ON true
WHERE s.confirms IS NULL
"""

LEDGER = """
SELECT s.name AS sweep, y.method, y.repeat, y.budget, b.planned_steps,
       t.trained_steps, t.wasted_steps,
       t.trained_steps * (s.protocol #>> '{task,schedule,image_batch}')::bigint AS trained_images,
       t.device_seconds, t.wasted_seconds
FROM sweeper.study y
JOIN sweeper.sweep s ON s.id = y.sweep_id
LEFT JOIN LATERAL (
    SELECT coalesce(sum(planned_steps), 0)::bigint AS planned_steps
    FROM sweeper.bracket WHERE study_id = y.id) b ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(trained_steps), 0)::bigint AS trained_steps,
           coalesce(sum(wasted_steps), 0)::bigint AS wasted_steps,
           coalesce(sum(device_seconds), 0) AS device_seconds,
           coalesce(sum(wasted_seconds), 0) AS wasted_seconds
    FROM sweeper.trial WHERE study_id = y.id) t ON true
"""

VIEWS = {
    "trials": TRIALS,
    "curves": CURVES,
    "confirmations": CONFIRMATIONS,
    "equal_cost": EQUAL_COST,
    "progress": PROGRESS,
    "leaderboard": LEADERBOARD,
    "ledger": LEDGER,
}
