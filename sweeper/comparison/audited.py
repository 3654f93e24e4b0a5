"""What only an audit reads of a sweep, its stages and its axes: the statements."""

from __future__ import annotations

LAUNCHES = """
SELECT s.name AS sweep, l.at, l.who, l.command, l.provenance
FROM sweeper.launch l JOIN sweeper.sweep s ON s.id = l.sweep_id
LEFT JOIN sweeper.sweep p ON p.id = s.confirms
WHERE :sweep IN (s.id, s.confirms, p.confirms) ORDER BY l.id
"""
FROZEN = """
SELECT id AS sweep_id, name, stage, seed, protocol, protocol_hash, teacher_hash
FROM sweeper.sweep WHERE :sweep IN (id, confirms) ORDER BY stage NULLS FIRST
"""
COPIES = """
SELECT y.id AS study_id, s.stage, y.method, y.repeat, y.space_hash, y.code_hash
FROM sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE s.confirms = :sweep ORDER BY y.id
"""
ALLOWANCES = """
SELECT b.study_id, b.index, b.planned_steps
FROM sweeper.bracket b JOIN sweeper.study y ON y.id = b.study_id
WHERE y.sweep_id = :sweep ORDER BY b.study_id, b.index
"""
PARTS = """
SELECT y.sweep_id, g.sweep_id AS trained_for, m.study_id, y.method, y.repeat, m.number, t.bracket,
       t.seed AS own_seed, g.seed, g.device_name, m.ending, m.reached_step
FROM sweeper.segment_member m
JOIN sweeper.segment g ON g.id = m.segment_id
JOIN sweeper.trial t ON t.study_id = m.study_id AND t.number = m.number
JOIN sweeper.study y ON y.id = m.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE :sweep IN (s.id, s.confirms) ORDER BY m.segment_id, m.ordinal
"""
CODES = """
SELECT s.name AS sweep, coalesce(g.code_hash, '') AS code_hash, count(*) AS segments,
       EXISTS (SELECT FROM sweeper.launch l
               WHERE l.sweep_id = s.id AND l.provenance ->> 'code_hash' = g.code_hash) AS is_known
FROM sweeper.segment g JOIN sweeper.sweep s ON s.id = g.sweep_id
WHERE :sweep IN (s.id, s.confirms) AND s.axis IS NULL AND g.state IN ('done', 'interrupted')
  AND (g.code_hash IS NOT NULL
       OR EXISTS (SELECT FROM sweeper.segment_member m  -- all lost: nothing of it was kept
                  WHERE m.segment_id = g.id AND m.ending <> 'lost'))
GROUP BY s.id, s.name, g.code_hash ORDER BY s.id, g.code_hash
"""
READINGS = """
SELECT y.sweep_id, c.study_id, c.number, c.recorded_at
FROM sweeper.confusion c
JOIN sweeper.study y ON y.id = c.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE :sweep IN (s.id, s.confirms) ORDER BY c.recorded_at
"""
