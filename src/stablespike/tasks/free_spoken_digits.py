"""The Free Spoken Digit Dataset (Jackson et al. 2018): six men say the ten digits 50 times each, at 8 kHz.

Nothing above 4 kHz is in the sounds, so that the channels of high tones keep to their spontaneous rate.
"""

import pathlib
import re

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.sounds import LabelledSound, archived_sound, archived_sounds

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")  # in the order of their numbers
TEST_INDICES = range(5)  # of each speaker and digit, as the authors split them
NAME = re.compile(rf"(?P<digit>[0-9])_(?P<speaker>{'|'.join(SPEAKERS)})_(?P<index>[0-9]{{1,3}})\.wav")


def free_spoken_digits(archive: str | pathlib.Path) -> tuple[list[LabelledSound], list[LabelledSound]]:
    """Recordings of `<digit>_<speaker>_<index>.wav` in a zip archive, for training and for the official test.

    The test set are indices 0 to 4 of every speaker and digit, so all speakers are on both sides: who asks for unseen
    speakers joins the two and takes `leave_one_speaker_out`. Of the whole set 2700 and 300 recordings.
    """
    train: list[LabelledSound] = []
    test: list[LabelledSound] = []
    for member, said in archived_sounds(archive, NAME, "free spoken digit"):
        sound = archived_sound(archive, member, int(said["digit"]), SPEAKERS.index(said["speaker"]))
        (test if int(said["index"]) in TEST_INDICES else train).append(sound)
    if not train or not test:
        raise DatasetError(f"{archive} holds recordings of one side only: there must be indices below and from 5 on.")
    return train, test
