"""Files as other programs write them: spreadsheets, encodings, logs, standard input."""

import io
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from roboscale.core import BadData, RoboscaleError, UnknownName, UsageError
from roboscale.results import ReadOptions, Results, join_results, read_results

TEXT = "policy,seed,success\nA,1,1\nB,1,0\nA,2,1\nB,2,1\n"


def rates(results: Results) -> dict[str, tuple[int, int]]:
    won, tried, _ = results.outcomes().counts()
    return {p: (int(won[k].sum()), int(tried[k].sum())) for k, p in enumerate(results.columns.policies)}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str):
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.replace("A", "Größe").encode(encoding))
    assert rates(read_results(path)) == {"Größe": (2, 2), "B": (1, 2)}


def test_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode())))
    found = read_results(Path("-"))
    assert rates(found)["A"] == (2, 2) and found.source == "standard input"


def test_binary_data_is_one_error(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(BadData, match=r"a\.csv"):
        read_results(path)


KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CELL = '<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def workbook(path: Path, sheets: dict[str, list[list[str]]], merged: str = "") -> Path:
    """The smallest spreadsheet that is one."""
    names = "".join(f'<sheet name="{n}" sheetId="{k}" r:id="r{k}"/>' for k, n in enumerate(sheets, 1))
    rels = "".join(
        f'<Relationship Id="r{k}" Type="{KINDS}/worksheet" Target="worksheets/s{k}.xml"/>'
        for k in range(1, len(sheets) + 1)
    )
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    ids = f'xmlns:r="{KINDS}"'
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        root = f'<Relationship Id="a" Type="{KINDS}/officeDocument" Target="xl/workbook.xml"/>'
        file.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships">{root}</Relationships>')
        file.writestr("xl/workbook.xml", f"<workbook {main} {ids}><sheets>{names}</sheets></workbook>")
        file.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{rels}</Relationships>'
        )
        for k, rows in enumerate(sheets.values(), 1):
            body = ""
            for y, row in enumerate(rows, 1):
                cells = [CELL.format(place=f"{chr(65 + x)}{y}", text=t) for x, t in enumerate(row) if t]
                body += f'<row r="{y}">{"".join(cells)}</row>'
            file.writestr(
                f"xl/worksheets/s{k}.xml", f"<worksheet {main}><sheetData>{body}</sheetData>{merged}</worksheet>"
            )
    return path


ROWS = [line.split(",") for line in TEXT.split()]


def test_spreadsheets(tmp_path: Path):
    pytest.importorskip("python_calamine")
    path = workbook(tmp_path / "a.xlsx", {"May": [["Results of May"], [], *ROWS], "empty": []})
    found = read_results(path)
    assert rates(found) == {"A": (2, 2), "B": (1, 2)} and found.paired
    two = workbook(tmp_path / "b.xlsx", {"May": ROWS, "June": ROWS[:3]})
    with pytest.raises(BadData, match=r"--sheet to say which, found May, June"):
        read_results(two)
    assert rates(read_results(two, "", ReadOptions(sheet="June"))) == {"A": (1, 1), "B": (0, 1)}
    with pytest.raises(UnknownName, match="June, May"):
        read_results(two, "", ReadOptions(sheet="July"))


def test_merged_cells_of_a_spreadsheet_are_filled(tmp_path: Path):
    pytest.importorskip("python_calamine")
    rows = [["policy", "seed", "success"], ["A", "1", "1"], ["", "2", "0"], ["B", "1", "1"]]
    merged = '<mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>'
    assert rates(read_results(workbook(tmp_path / "a.xlsx", {"s": rows}, merged)))["A"] == (1, 2)


def test_a_broken_spreadsheet_is_one_error(tmp_path: Path):
    pytest.importorskip("python_calamine")
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadData, match=r"a\.xlsx"):
        read_results(tmp_path / "a.xlsx")


def eval_info(folder: Path, name: str, won: list[bool], **more: list[int]) -> Results:
    data = {"per_task": [{"task_group": "libero", "task_id": 1, "metrics": {"successes": won, **more}}]}
    (folder / name).mkdir()
    path = folder / name / "eval_info.json"
    path.write_text(json.dumps(data))
    return read_results(path)


def test_two_eval_infos_without_seeds_are_independent(tmp_path: Path):
    both = join_results([eval_info(tmp_path, name, [True, False]) for name in ("act", "pi0")])
    assert not both.paired and rates(both) == {"act": (1, 2), "pi0": (1, 2)}
    assert "no seeds are given" in "\n".join(both.reading.lines())
    seeded = join_results([eval_info(tmp_path, f"{name}2", [True, False], seeds=[7, 8]) for name in ("act", "pi0")])
    assert seeded.paired


def test_sums_of_an_eval_info(tmp_path: Path):
    path = tmp_path / "eval_info.json"
    path.write_text(json.dumps({"overall": {"pc_success": 45.0, "n_episodes": 20}}))
    assert rates(read_results(path, "act")) == {"act": (9, 20)}


def test_logs_of_other_programs(tmp_path: Path):
    vla = {"benchmark": "libero", "tasks": [{"task": "cup", "episodes": [
        {"episode_id": 0, "metrics": {"success": True}},
        {"episode_id": 1, "metrics": {"success": False}},
        {"episode_id": 2, "metrics": {}, "failure_reason": "connection"},
    ]}]}  # fmt: skip
    robots = {"version": 1, "eval": {"task": "cup", "policy": "pi0", "embodiment": "yam"}, "samples": [
        {"scene_id": "left", "epochs": [{"success": 1.0}, {"success": 0.0}]},
        {"scene_id": "right", "epochs": [{"success": 1.0}], "status": "error"},
    ]}  # fmt: skip
    arena = {
        "act_microwave": {"success_rate": 0.8, "num_episodes": 10},
        "pi0_microwave": {"success_rate": 1.0, "num_episodes": 5},
    }
    expected = ({"mine": (1, 2)}, {"mine": (2, 3)}, {"act_microwave": (8, 10), "pi0_microwave": (5, 5)})
    for data, rate in zip((vla, robots, arena), expected, strict=True):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(data))
        assert rates(read_results(path, "mine")) == rate


def test_json_lines_with_objects_in_them(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"policy": p, "metrics": {"success": w}}) + "\n" for p, w in (("A", 1), ("B", 0)))
    )
    assert rates(read_results(path)) == {"A": (1, 1), "B": (0, 1)}


def test_a_role_that_there_is_not(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(TEXT)
    with pytest.raises(UsageError, match="did you mean success.* roles: policy, .*ignore"):
        read_results(path, "", ReadOptions(columns={"sucess": "success"}))
    with pytest.raises(UnknownName, match="did you mean seed"):
        read_results(path, "", ReadOptions(columns={"case": "sed"}))


def test_a_table_that_names_no_policy_says_how_to_name_it(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("trial,success\n1,1\n")
    with pytest.raises(RoboscaleError, match="NAME=PATH"):
        read_results(path)
    assert rates(read_results(path, "mine")) == {"mine": (1, 1)}


@pytest.mark.parametrize("name", ["success rate (%)", "success rate"])
def test_percent_signs_in_some_cells_only(tmp_path: Path, name: str):
    path = tmp_path / "a.csv"
    path.write_text(f'policy,task,{name},n\nA,cup,60,20\nB,cup,85%,20\nA,plate,"55,0",20\nB,plate,50,20\n')
    found = read_results(path)
    assert rates(found) == {"A": (23, 40), "B": (27, 40)}
    assert any("cells without a sign too" in line for line in found.reading.lines())


def test_a_share_beside_percent_signs_stays_a_share(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("policy,success rate,n\nA,0.6,20\nB,85%,20\n")
    assert rates(read_results(path)) == {"A": (12, 20), "B": (17, 20)}


def test_a_line_that_ends_with_a_comma_has_no_further_column(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("policy,seed,success,\nA,1,1,\nB,1,0,\n")
    found = read_results(path)
    assert rates(found) == {"A": (1, 1), "B": (0, 1)} and "ignored" not in "\n".join(found.reading.lines())


def test_cells_separated_by_tabs_are_said_to_be(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(TEXT.replace(",", "\t"))
    assert "cells are separated by tabs" in "\n".join(read_results(path).reading.lines())


def test_cells_may_be_long(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(TEXT.replace("success", "success,notes").replace(",1\n", f",1,{'x' * 200_000}\n"))
    assert rates(read_results(path))["A"] == (2, 2)


def test_columns_of_json_have_one_length(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"policy": ["A", "B"], "success": [1, 0]}))
    assert rates(read_results(path)) == {"A": (1, 1), "B": (0, 1)}
    path.write_text(json.dumps({"policy": ["A", "B"], "success": [1]}))
    with pytest.raises(BadData, match=r"a\.json: columns: expected lists of one length, found lengths \[1, 2\]"):
        read_results(path)
