"""The report as a reader and a browser see it."""

import base64
import hashlib
import html
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lungscore.report.embedding import css_string
from lungscore.report.page import render_page
from lungscore.report.pictures import chosen_slices, montage, overview_pictures, slice_pictures
from lungscore.report.settings import ReportSettings
from lungscore.report.text import ml_text, percent_text, text_table
from lungscore.report.viewer import STEP, slice_stack, slices_of_parts
from lungscore.result.numbers import NUMBERS
from lungscore.severity import PartScore
from lungscore.version import RESEARCH_USE
from tests.report.pages import check_page


def page(analysis, **more) -> str:
    return render_page(
        analysis,
        slices=slice_pictures(analysis),
        overview=overview_pictures(analysis),
        **more,
    )


@pytest.mark.parametrize("case", [{}, {"sides": False, "depth": 1}, {"masks_only": True}])
def test_the_page_is_well_formed_and_loads_nothing(make_analysis, case):
    check_page(page(make_analysis(**case)), viewer=True)


def test_only_the_one_script_of_ours_may_run(make_analysis):
    text = html.unescape(page(make_analysis()))
    data, script = re.findall(r"<script[^>]*>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'; base-uri" in text
    assert json.loads(data)["first"] == 6


@pytest.mark.parametrize(
    ("case", "more"),
    [({"depth": 1, "sides": False}, {}), ({}, {"settings": ReportSettings("small")})],
)
def test_without_slices_to_scroll_no_script_may_run(make_analysis, case, more):
    text = html.unescape(page(make_analysis(**case), **more))
    assert "<script" not in text
    assert "script-src 'none'" in text
    assert "show contours" in text


def test_research_use_stands_on_top_and_at_the_foot(make_analysis):
    text = page(make_analysis())
    header, footer = text.index("<header>"), text.index("<footer>")
    assert RESEARCH_USE in text[header : text.index("</header>")]
    assert RESEARCH_USE in text[footer:]


def test_names_and_messages_are_escaped(make_analysis):
    text = page(make_analysis(name='</style><script>alert("1")</script>'))
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    # In the style sheet, where entities mean nothing, no sign is left that could end it.
    name = re.search(r"@top-left { content: (.*?); font", text)[1]
    assert re.fullmatch(r'"[\w \\]*"', name)
    assert css_string('a"b') == '"a\\22 b"'


def test_what_is_particular_stands_on_top_worst_first_and_what_is_standing_at_the_foot(
    make_analysis,
):
    text = page(make_analysis(codes=("hu-split", "contrast", "approximate-8bit")))
    grade, foot = text.index("Reliability grade C"), text.index("Method and limits")
    order = [text.index(f"<code>{code}</code>") for code in ("approximate-8bit", "contrast")]
    assert grade < order[0] < order[1] < text.index("Opacity, % of")
    assert foot < text.index("<code>hu-split</code>")


def test_without_anything_particular_there_is_no_box(make_analysis):
    text = page(make_analysis(codes=("hu-split", "approximate-regions")))
    assert "Reliability grade A: nothing to object to." in text
    assert 'class="warnings"' not in text


def test_a_withheld_category_says_why_beside_its_grade(make_analysis):
    text = page(make_analysis(codes=("truncated-scan",)))
    grade = text[text.index('class="grade D"') :]
    assert "does not contain the whole lungs" in grade[: grade.index("</div>")]
    assert "severity-withheld" not in text.split("<main>")[1].split("Method and limits")[0]


def test_what_lies_near_the_edge_is_marked(make_analysis):
    analysis = make_analysis()
    parts = dict(analysis.severity.ct_ss.parts)
    name = next(iter(parts))
    parts[name] = PartScore(1.5, 1)
    ct_ss = replace(analysis.severity.ct_ss, parts=parts)
    text = page(replace(analysis, severity=replace(analysis.severity, ct_ss=ct_ss)))
    assert "1 of 20 regions near the edge" in text
    row = text[text.index(f">{name}</a>") :]
    assert "near edge" in row[: row.index("</tr>")]


def test_the_identity_line_has_the_date_and_the_version(make_analysis):
    text = page(make_analysis(name="P1"), analysed_on="2026-11-30")
    assert re.search(r"<h1>P1</h1><p>dicom, 12 slices · analysed 2026-11-30 · lungscore \d", text)


def test_lobes_and_regions_lead_to_the_slice_with_most_of_their_infection(make_analysis):
    analysis = make_analysis()
    # The left lower lobe is infected in slices 6 to 11, in all of them alike.
    assert slices_of_parts(analysis, analysis.lobes, 5) == [0, 6, 0, 4, 8]
    assert 'data-slice="6"><title>left lower lobe' in page(analysis)
    assert slices_of_parts(analysis, None, 5) == [None] * 5


def test_the_slices_come_back_from_the_page_as_they_were(make_analysis):
    analysis = make_analysis()
    stack = slice_stack(analysis)
    assert len(stack["images"]) == len(stack["labels"]) == 12
    labels = np.asarray(Image.open(io.BytesIO(base64.b64decode(stack["labels"][8]))))
    assert labels.shape[::-1] == tuple(stack["size"])
    codes = labels // STEP
    assert set(np.unique(codes % 3)) == {0, 1, 2}
    assert set(np.unique(codes // 3)) == {0, 2, 5}  # LLL and RLL
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(stack["images"][8]))), float)
    hounsfield = grey / 255 * 1400 - 1100
    assert np.median(hounsfield[codes == 15]) == pytest.approx(-850, abs=8)


@pytest.mark.slow
def test_three_hundred_noisy_slices_fit_into_eight_megabytes(make_analysis):
    analysis = make_analysis(depth=300)
    noise = np.random.default_rng(0).normal(0, 300, (300, 400, 400)).astype(np.int16)
    lungs = np.zeros(noise.shape, np.uint8)
    lungs[:, 20:380, 20:190], lungs[:, 20:380, 210:380] = 1, 2
    scan = replace(analysis.scan, values=noise)
    noisy = replace(
        analysis,
        scan=scan,
        lungs=replace(analysis.lungs, labels=lungs),
        lesions=replace(analysis.lesions, labels=np.zeros_like(lungs)),
        lobes=None,
        regions=None,
    )
    assert len(page(noisy)) <= 8_000_000


def test_regions_are_called_approximate(make_analysis):
    assert "The 20 regions of CT-SS (approximate)" in page(make_analysis())


def test_what_is_not_computed_says_why(make_analysis):
    text = page(make_analysis(sides=False))
    assert "not computed" in text
    assert "right and left are not known" in text
    assert "nan" not in text.lower().split("base64")[0]


def test_bands_lesions_and_places_are_shown(make_analysis):
    text = page(make_analysis())
    widths = [float(width) for width in re.findall(r'<i style="width: ([\d.]+)%; background', text)]
    assert sum(widths) == pytest.approx(100, abs=0.05)
    for words in ("well aerated", "−900 to −500", "peripheral (outer third)", "1 of 5 lobes"):
        assert words in text
    assert "1, the largest 150 ml" in text


def test_no_infection_has_no_table_of_places(make_analysis):
    text = page(make_analysis(infected=False))
    assert "There is no opacity" in text
    assert "separate lesions</dt><dd>none" in text
    assert "0 of 2 lungs, 0 of 5 lobes" in text


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"masks_only": True}, "Aeration was not computed: no Hounsfield units are available."),
        ({"sides": False}, "Distribution was not computed: right and left are not known."),
        ({"spacing": False}, "separate lesions</dt><dd>not computed: no voxel size is known"),
    ],
)
def test_what_is_missing_of_the_patterns_says_why(make_analysis, case, words):
    assert words in page(make_analysis(**case))


def test_the_small_page_stays_small(make_analysis):
    assert len(page(make_analysis(), settings=ReportSettings("small"))) < 1_500_000


def test_contours_lie_on_the_masks(make_analysis):
    picture = slice_pictures(make_analysis())[-1]
    layer = np.asarray(picture.contours)
    assert picture.contours.size == picture.image.size
    assert set(np.unique(layer)) == {0, 1, 3, 4}
    rows, columns = np.nonzero(layer == 3)
    # The infection lies in the lower left lung: right half of the picture.
    assert columns.min() > layer.shape[1] / 2
    assert rows.min() > layer.shape[0] * 0.4


def test_the_most_infected_slice_is_shown(make_analysis):
    analysis = make_analysis(depth=60)
    analysis.lesions.labels[37, 10:34, 36:54] = 1
    shown = chosen_slices(analysis)
    assert 37 in shown
    assert shown == sorted(set(shown))
    assert len(shown) == 12


def test_planes_have_the_patients_proportions(make_analysis):
    coronal, sagittal = overview_pictures(make_analysis(depth=30))
    assert coronal.image.height == sagittal.image.height
    # 30 slices of 10 mm against 54 columns of 5 mm (50 of lung and two of margin on each side).
    assert coronal.image.height / coronal.image.width == pytest.approx(300 / 270, rel=0.02)


def test_few_thick_slices_do_not_make_a_huge_picture(make_analysis):
    analysis = make_analysis(depth=2)
    for picture in [*overview_pictures(analysis), *slice_pictures(analysis)]:
        assert max(picture.image.size) <= 700


def test_unknown_sides_are_not_lettered(make_analysis):
    lettered = slice_pictures(make_analysis())[0].image
    plain = slice_pictures(make_analysis(sides=False))[0].image
    assert lettered.tobytes() != plain.tobytes()


def test_pictures_carry_no_metadata(make_analysis):
    sheet = montage(slice_pictures(make_analysis()))
    assert isinstance(sheet, Image.Image)
    assert sheet.info == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not computed"), (0.0, "0.0 %"), (0.01, "< 0.1 %"), (0.05, "0.1 %"), (12.34, "12.3 %")],
)
def test_percent_is_written_without_a_false_zero(value, text):
    assert percent_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not computed"),
        (0.0, "0.0 ml"),
        (0.01, "< 0.1 ml"),
        (0.25, "0.2 ml"),
        (4812.4, "4 812 ml"),
    ],
)
def test_millilitres_are_written_for_reading(value, text):
    assert ml_text(value) == text


def test_the_table_for_the_terminal_holds_the_headline(make_analysis):
    text = text_table(make_analysis(name="P1"))
    assert text.startswith(f"P1: {RESEARCH_USE}")
    for word in ("severity", "infection", "CT-SS", "of 40", "RUL", "LLL", "hu-split"):
        assert word in text
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)


def test_the_table_for_the_terminal_holds_aeration_lesions_and_places(make_analysis):
    text = text_table(make_analysis())
    assert re.search(r"aeration +\D+ 95\.8 %, \D+ 3\.8 %, \D+ 0\.4 %\n", text)
    assert re.search(r"separate lesions +1, the largest 150 ml, median 150 ml\n", text)
    assert re.search(r"posterior 100\.0 % \(lungs: 50\.0 %\), lower 66\.7 % \(lungs: 33\.3", text)
    assert "aeration  " not in text_table(make_analysis(masks_only=True))


# Ranges


def test_a_range_stands_beside_each_number(make_analysis):
    text = page(make_analysis(ranges=True))
    assert '4.2 %<span class="range"> (3.8–4.6)</span>' in text
    assert "not a confidence interval" in text
    # A whisker on the scale of infection percent: 3.75 to 4.59 %.
    assert '<s style="left: 3.75%; width: 0.84%"></s>' in text
    plain = page(make_analysis())
    assert "<s style" not in plain
    assert 'class="range"' not in plain
    assert "confidence" not in plain


def test_the_table_for_the_terminal_holds_ranges(make_analysis):
    text = text_table(make_analysis(ranges=True))
    assert "4.2 % (3.8–4.6) of the lungs, 150 ml (135–165)" in text
    assert "not a confidence interval" in text
    assert "(" not in text_table(make_analysis()).split("lobe")[0].replace("(below", "")


def test_an_unsure_category_says_between_what(make_analysis):
    analysis = make_analysis(ranges=True)
    ranges = replace(analysis.severity.ranges, categories=("none", "mild"), mosmed=("CT-0", "CT-1"))
    analysis = replace(analysis, severity=replace(analysis.severity, ranges=ranges))
    assert 'mild<span class="range">, or none by extent</span>' in page(analysis)
    text = text_table(analysis)
    assert "mild, or none by extent" in text
    assert "CT-1 (CT-0 to CT-1)" in text


def test_a_range_that_reads_like_one_number_is_not_written(make_analysis):
    text = text_table(make_analysis(ranges=True))
    assert re.search(r"TSS +1 of 20$", text, re.MULTILINE)


def test_the_table_of_one_slice_says_what_is_not_computed(make_analysis):
    text = text_table(make_analysis(depth=1, sides=False))
    assert "Lobes: not computed" in text
    names = ("right_percent", "left_percent", "ct_ss", "ctsi")
    missing = next(line for line in text.splitlines() if line.startswith("  not computed"))
    assert all(NUMBERS[name].title in missing for name in names)
    assert "withheld" in text
