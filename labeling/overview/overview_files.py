"""The file overview.json: the sentences and their numbers."""

import json
from dataclasses import asdict
from pathlib import Path

from labeling.output_files import output_file
from labeling.overview.overview import Overview
from labeling.overview.sentences import sentences

OVERVIEW_FILE = "overview.json"
_NUM_CATEGORIES = 25


def write_overview(folder: Path, overview: Overview) -> None:
    """Write overview.json.

    Raises:
        LabelingError: the disk refuses.
    """
    review, num_rows = overview.review, len(overview.issues.catalog)
    values = {
        "catalog": overview.issues.catalog.parsed.path.name,
        "num_rows": num_rows,
        "sentences": sentences(overview),
        "expected_wrong": asdict(review.expected_wrong),
        "expected_wrong_share": asdict(review.expected_wrong.of(num_rows)),
        "expected_wrong_in_another_branch": overview.num_other_branch,
        "review": {
            **asdict(review.settings),
            "num_reviewed": review.num_reviewed,
            "expected_found": asdict(review.expected_found),
        },
        "gain": None if overview.gain is None else asdict(overview.gain),
        "categories": [asdict(one) for one in overview.categories()[:_NUM_CATEGORIES]],
        "num_categories_to_merge": overview.num_merges,
        "num_disputed_groups": len(overview.issues.majorities),
        "num_disputed_products": overview.num_disputed_products,
        "num_confident_learning": overview.issues.joint.num_issues,
    }
    with output_file(folder / OVERVIEW_FILE) as aside:
        aside.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
