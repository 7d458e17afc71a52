"""Each attribute that the people renderer shows changes the picture, or the mesh, as it says.

What is measured are colours of patches, silhouettes, joints and vertices (`person_probes.py`).
"""

import numpy as np
import pytest
from person_probes import BASE, LUMA, Look

from toolkit.dataset.person_of_record import ALWAYS_SHOWN, plan_person
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.vocabulary import ACTIVITIES, ATTRIBUTES, EXPRESSIONS
from toolkit.people.palette import color


@pytest.fixture(scope="module")
def plain():
    return Look()


def nearest(rgb, names):
    """The colour of the names whose hue and saturation is nearest, whatever the light."""

    def direction(c):
        c = np.asarray(c, float)
        return (c - c.mean()) / np.linalg.norm(c)

    return min(names, key=lambda name: np.linalg.norm(direction(color(name)) - direction(rgb)))


@pytest.mark.parametrize("name", ["red", "blue", "yellow"])
def test_colours_of_garments_are_seen_where_they_are_worn(name):
    look = Look(
        {
            "upper body": f"{name} t-shirt",
            "lower body": f"{name} trousers",
            "shoes": f"{name} sneakers",
            "hat": f"{name} beanie",
        }
    )
    for place in ("torso", "thigh", "shin", "foot", "crown"):
        assert nearest(look.color(place), ("red", "blue", "yellow", "green")) == name, place
    assert nearest(Look().color("torso"), ("red", "blue", "yellow", "green")) == "green"


def test_upper_body_garments_cover_what_they_cover(plain):
    skin = {}
    for top in ("t-shirt", "long-sleeved shirt", "tank top", "hoodie", "dress"):
        lower = {"lower body": "none"} if top == "dress" else {}
        look = Look({"upper body": f"red {top}"} | lower)
        skin[top] = [look.is_skin(place) for place in ("upper arm", "forearm", "shin")]
        thigh_is_red = nearest(look.color("thigh"), ("red", "navy")) == "red"
        assert thigh_is_red == (top == "dress")
        if top == "hoodie":
            assert look.area("torso", 0.3) > plain.area("torso", 0.3) + 0.03, "it is thick"
    assert skin == {
        "t-shirt": [False, True, False],
        "long-sleeved shirt": [False, False, False],
        "tank top": [True, True, False],
        "hoodie": [False, False, False],
        "dress": [False, True, True],
    }


def test_lower_body_garments_cover_what_they_cover():
    looks = {g: Look({"lower body": f"red {g}"}) for g in ATTRIBUTES["lower body"].values}
    skin = {g: look.is_skin("shin") for g, look in looks.items()}
    assert skin == {
        "trousers": False,
        "jeans": False,
        "shorts": True,
        "skirt": True,
        "leggings": False,
    }
    legs = {g: looks[g].area("above ankle", 0.1) for g in looks}
    assert legs["leggings"] < legs["jeans"] < legs["trousers"], "from tight to wide"
    skirt, shorts = (looks[g].zoom("thigh", 0.12)[1].mean() for g in ("skirt", "shorts"))
    assert skirt > shorts + 0.02, "no gap between the legs"


def test_shoes():
    looks = {s: Look({"shoes": f"red {s}", "lower body": "navy shorts"}) for s in
             ("sneakers", "leather shoes", "boots")}  # fmt: skip
    assert not looks["boots"].is_skin("above ankle") and looks["sneakers"].is_skin("above ankle")
    soles = {s: look.zoom("foot", 0.12, 64)[0] @ LUMA for s, look in looks.items()}
    assert np.abs(soles["sneakers"] - soles["leather shoes"]).max() > 0.2, "light soles"


def test_kinds_of_one_garment_differ():
    """What no single patch tells apart still makes another picture: collar, buttons, seams."""
    for name, kinds, place in (
        ("upper body", ("t-shirt", "polo shirt"), "torso"),
        ("upper body", ("long-sleeved shirt", "button-up shirt"), "torso"),
        ("upper body", ("long-sleeved shirt", "sweater"), "torso"),
        ("lower body", ("trousers", "jeans"), "thigh"),
    ):
        one, other = (Look({name: f"red {kind}"}).zoom(place, 0.25)[0] for kind in kinds)
        assert np.abs(one - other).mean() > 0.005, kinds


def test_hat(plain):
    for hat in ("baseball cap", "beanie"):
        look = Look({"hat": f"red {hat}"})
        assert look.area("head", 0.25) > plain.area("head", 0.25)
        assert nearest(look.color("crown"), ("red", "blue", "green")) == "red"
    cap, beanie = (Look({"hat": f"red {h}"}, yaw_deg=90) for h in ("baseball cap", "beanie"))
    assert np.abs(cap.zoom("head", 0.25)[1] - beanie.zoom("head", 0.25)[1]).mean() > 0.01, "a peak"


def test_glasses(plain):
    bare = plain.zoom("eyes", 0.07, 96)[0] @ LUMA
    seen = {}
    for glasses in ATTRIBUTES["glasses"].values:
        seen[glasses] = Look({"glasses": glasses}).zoom("eyes", 0.07, 96)[0] @ LUMA
        assert (seen[glasses] < 0.25).mean() > (bare < 0.25).mean() + 0.02, "a dark frame"
    assert (seen["sunglasses"] < 0.25).mean() > (seen["round glasses"] < 0.25).mean() + 0.02
    assert np.abs(seen["round glasses"] - seen["square glasses"]).max() > 0.2


def test_hair_colour_goes_from_dark_to_light():
    shades = ("black", "brown", "light brown", "blond", "platinum")
    light = [Look({"hair color": shade}).brightness("crown") for shade in shades]
    assert light == sorted(light) and light[-1] > light[0] + 0.3
    red, green, blue = Look({"hair color": "ginger"}).color("crown")
    assert red > 1.4 * green > 1.4 * blue
    grey = Look({"hair color": "grey"}).color("crown")
    assert np.ptp(grey) < 0.1


def test_hair_style_by_the_area_of_hair():
    def style(name, yaw=0.0):
        hair = "none" if name == "bald" else "ginger"
        return Look({"hair style": name, "hair color": hair}, yaw_deg=yaw)

    bald, buzz, short, long = (style(n) for n in ("bald", "buzz cut", "short hair", "long hair"))
    assert bald.hair_area("head", 0.2) == 0 and bald.is_skin("crown")
    front = [look.hair_area("head", 0.2) for look in (bald, buzz, short, style("bob cut"))]
    assert front == sorted(front) and len(set(front)) == 4
    assert buzz.area("head", 0.25) < short.area("head", 0.25) < long.area("head", 0.25)
    assert style("swept-back hair").area("head", 0.25) > short.area("head", 0.25)
    behind = {n: style(n, 180).hair_area("neck", 0.12) for n in
              ("short hair", "ponytail", "bob cut", "long hair")}  # fmt: skip
    assert list(behind.values()) == sorted(behind.values()), "further down the neck each time"
    assert behind["ponytail"] > 1.5 * behind["short hair"]
    sides = {n: style(n, 90).zoom("head", 0.25)[1] for n in ("short hair", "hair bun")}
    assert (sides["hair bun"] - sides["short hair"]).clip(0).sum() > 5, "a bun stands out behind"


def test_hair_type_curls_widen_the_outline():
    def width(style, kind):
        return Look({"hair style": style, "hair type": kind}).area("head", 0.3)

    straight, curly, coily = (width("short hair", t) for t in ("straight", "curly", "coily"))
    assert straight < curly < coily


def test_beards_are_where_they_grow(plain):
    def change(kind, place):
        look = Look({"facial details": kind})
        return look.brightness(place, 0.006) / plain.brightness(place, 0.006)

    assert change("full beard", "chin") < 0.5 < change("stubble", "chin") < 0.9
    assert change("full beard", "cheek") > 0.9


def test_ethnicity_is_a_range_of_skin_tones():
    light = [Look({"ethnicity": e}).brightness("cheek", 0.006) for e in
             ("Black", "South Asian", "Southeast Asian", "White")]  # fmt: skip
    assert light[0] < min(light[1:3]) and max(light[1:3]) < light[3]


def test_body_shape_on_the_mesh_and_in_the_picture():
    looks = {shape: Look({"body shape": shape}) for shape in ATTRIBUTES["body shape"].values}

    def waist(look):
        near = np.abs(look.vertices[:, 1] - look.joints[3][1]) < 0.015
        ring = look.vertices[near & (np.abs(look.vertices[:, 0]) < 0.25)]
        return np.ptp(ring[:, 0]), np.ptp(ring[:, 2])

    depth = {shape: waist(look)[1] for shape, look in looks.items()}
    assert depth["slim"] + 0.02 < depth["average build"] < depth["heavy-set"] - 0.04
    area = {shape: look.area("torso", 0.35) for shape, look in looks.items()}
    assert area["slim"] < area["average build"] < area["heavy-set"]
    v_shape = {
        shape: np.linalg.norm(look.joints[16] - look.joints[17]) / waist(look)[0]
        for shape, look in looks.items()
    }
    assert v_shape["athletic"] > v_shape["average build"] + 0.04, "shoulders over waist"


def test_gender_and_age_on_the_mesh():
    def shoulders(gender, seed):
        j = Look({"gender": gender}, seed=seed).joints
        return np.linalg.norm(j[16] - j[17])

    for seed in (5, 6, 7):
        assert shoulders("man", seed) > shoulders("woman", seed) + 0.03
    ages = [Look({"age": age}) for age in ("about 20 years old", "in the forties",
                                           "over 70 years old")]  # fmt: skip
    heights = [np.ptp(look.vertices[:, 1]) for look in ages]
    heads = [look.joints[15][2] - look.joints[0][2] for look in ages]
    assert heights == sorted(heights, reverse=True), "the old are shorter"
    assert heads == sorted(heads), "and hold the head further forward"


def test_facial_expression_changes_the_face_and_nothing_else(plain):
    places = (("mouth", 0.03), ("eyes", 0.05), ("torso", 0.05))
    calm = {place: plain.zoom(place, half)[0] for place, half in places}
    for face in set(sum(EXPRESSIONS.values(), ())) - {"neutral face"}:
        look = Look({"facial expression": face})
        now = {place: look.zoom(place, half)[0] for place, half in places}
        change = {place: np.abs(now[place] - calm[place]).mean() for place, _ in places}
        assert max(change["mouth"], change["eyes"]) > 0.015 and change["torso"] < 1e-6, face
        dark = (now["mouth"] @ LUMA < 0.25).mean() - (calm["mouth"] @ LUMA < 0.25).mean()
        assert (dark > 0.05) == (face in ("laughing", "open mouth")), face
        if face == "wide eyes":
            assert change["eyes"] > 5 * change["mouth"]


@pytest.mark.parametrize("seed", [5, 11])
def test_poses_on_the_joints(seed):
    def joints(pose):
        return Look({"pose": pose}, seed=seed).joints

    standing, hips, crossed = (joints(p) for p in ("standing", "hands on hips", "arms crossed"))
    leaning, stride, raised = (joints(p) for p in ("leaning forward", "mid-stride", "arms raised"))
    left, right, head, pelvis = 20, 21, 15, 0  # wrists among them
    assert raised[[left, right], 1].min() > raised[head, 1]
    assert standing[[left, right], 1].max() < standing[9, 1] < raised[left, 1]
    for wrist, hip, elbow in ((left, 1, 18), (right, 2, 19)):
        assert np.linalg.norm(hips[wrist] - hips[hip]) < 0.25
        assert abs(hips[elbow, 0]) > abs(hips[wrist, 0]) + 0.03, "elbows point outwards"
        assert crossed[wrist, 2] > crossed[9, 2] + 0.1, "in front of the chest"
        assert abs(crossed[wrist, 0]) < 0.14
    assert leaning[head, 2] - leaning[pelvis, 2] > standing[head, 2] - standing[pelvis, 2] + 0.15
    assert abs(stride[7, 2] - stride[8, 2]) > 0.3 > abs(standing[7, 2] - standing[8, 2])


def test_activities_on_the_joints():
    def spread(activity, measure):
        looks = [Look({"activity": activity, "pose": "any"}, seed=s) for s in range(6)]
        return max(measure(look) for look in looks)

    def lifted(look):  # of the higher ankle over the lower one
        return abs(look.joints[7][1] - look.joints[8][1])

    def reach(look):  # of the wrists in front of the body
        return (look.joints[[20, 21], 2] - look.joints[9][2]).max()

    still = max(lifted(Look(seed=s)) for s in range(6))
    for activity in ("walking", "running", "kicking"):
        assert spread(activity, lifted) > still + 0.05, activity
    assert spread("kicking", lifted) > spread("walking", lifted)
    assert spread("boxing", reach) > max(reach(Look(seed=s)) for s in range(6)) + 0.1
    bent = lambda look: np.abs(look.person.pose[1:22].numpy()).max()  # noqa: E731
    for activity in ("dancing", "jumping"):
        assert spread(activity, bent) > 0.3


def plan(changes):
    return plan_person(AttributeRecord(0, 0, BASE | changes))


def test_what_is_not_shown_is_said_to_be_ignored_and_changes_nothing(plain):
    for name, value in (
        ("jewelry", "necklace"),
        ("carried items", "umbrella"),
        ("occupation", "chef"),
        ("lighting", "neon light"),
        ("art style", "film still"),
        ("facial details", "freckles"),
        ("facial details", "moustache"),
        ("activity", "reading"),
    ):
        assert name in plan({name: value}).ignored
        other = Look({name: value} | ({"pose": "standing"} if name == "activity" else {}))
        change = np.abs(other.zoom("body", 1.0)[0] - plain.zoom("body", 1.0)[0]).max()
        assert change < (0.06 if value == "moustache" else 1e-9), value


def test_what_is_shown_is_not_ignored():
    ignored = set(plan({}).ignored)
    assert not ignored & ALWAYS_SHOWN and "pose" not in ignored
    shown = [a for a in ACTIVITIES if "activity" not in plan({"activity": a}).ignored]
    assert shown == [a for a, clip in ACTIVITIES.items() if clip]
