import copy

import pytest

from toolkit.cli import main
from toolkit.errors import InputError
from toolkit.prior.prior import Prior
from toolkit.prior.turntable.shipped import PAPER_POINT
from toolkit.profiles.choose import load_profile
from toolkit.profiles.refiners import REFINERS, with_refiner


@pytest.fixture(scope="module")
def embedded():
    return load_profile("embedded")


def test_every_refiner_is_a_prior_with_settings_of_its_own(embedded):
    fingerprints = {embedded.fingerprint}
    for name, refiner in REFINERS.items():
        profile = with_refiner(embedded, name)
        assert isinstance(profile.load_prior(13, 192, 96), Prior)
        assert profile.defaults.edit == refiner.edit
        assert profile.models["video_prior"].startswith(name)
        fingerprints.add(profile.fingerprint)
    assert len(fingerprints) == 1 + len(REFINERS), "resume would mix two refiners"
    assert with_refiner(embedded, "plain").defaults.edit == PAPER_POINT
    assert embedded.defaults.edit == REFINERS["repairer"].edit, "the profile itself was changed"


def test_unknown_refiners_and_other_profiles_are_refused(embedded):
    with pytest.raises(InputError, match="repairer, plain"):
        with_refiner(embedded, "wan")
    other = copy.copy(embedded)
    other.name = "full"
    with pytest.raises(InputError, match="full"):
        with_refiner(other, "plain")


def test_the_command_refuses_before_it_reads_the_photo(tmp_path, capsys):
    code = main(["avatar", "no.png", "--out", str(tmp_path / "out"), "--refiner", "magic"])
    assert code == 2 and "refiner" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
