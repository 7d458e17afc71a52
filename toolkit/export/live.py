"""The live viewer: an avatar as splats in the browser, moved by sliders and clips, with viser.

viser serves its own page and sends numbers both ways. No name or path from a client is ever used:
menus answer with one of the choices that this side wrote.
"""

import os
import threading
import time
from typing import TYPE_CHECKING

import torch

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import Motion, load_clip, t_pose
from toolkit.export.live_port import free_port, require_viser
from toolkit.export.live_scene import Shape, frame_at, splat_arrays, turn_joints, wipe
from toolkit.export.page import CLIPS
from toolkit.export.subject import Subject, load_subject

if TYPE_CHECKING:
    from IPython.display import IFrame

FRAMES_PER_S = 15.0  # at most; the viewer sends 0.6 MB per frame
NUM_BETAS = 4  # sliders; later coefficients change little
STILL = "none (T-pose)"


class LiveViewer:
    """A running viewer. In JupyterLab, the last line of a cell shows it.

    Attributes:
        url: where the page is.
        notes: what this avatar cannot do, for people.
        frames: sent so far.
    """

    def __init__(self, subject: Subject, *, host: str, port: int):
        import viser

        self.subject, self.frames, self.notes = subject, 0, []
        self.shape = Shape.of(subject.avatar.rig)
        self.turns: dict[str, tuple[float, float, float]] = {}
        self.clips: dict[str, Motion] = {name: load_clip(name) for name in CLIPS}
        self._seconds, self._dirty, self._stop = 0.0, threading.Event(), threading.Event()
        self.server = viser.ViserServer(host=host, port=port, label=subject.name, verbose=False)
        self.url = f"http://{host}:{self.server.get_port()}"
        self._build_scene()
        self._build_controls()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _build_scene(self) -> None:
        self.server.scene.set_up_direction("+y")
        camera = self.server.initial_camera
        camera.position, camera.look_at = (0.0, 0.2, 3.6), (0.0, -0.2, 0.0)
        arrays = splat_arrays(self.subject.avatar.gaussians)
        self._splats = self.server.scene.add_gaussian_splats("/avatar", **arrays)

    def _build_controls(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Motion"):
            self.clip = gui.add_dropdown("clip", [STILL, *self.clips])
            self.play = gui.add_checkbox("play", True)
            self.speed = gui.add_slider("speed", 0.1, 3.0, 0.1, 1.0)
        with gui.add_folder("Joint"):
            self.joint = gui.add_dropdown("joint", JOINT_NAMES, initial_value="left_shoulder")
            self.angles = [gui.add_slider(f"{a} (deg)", -180, 180, 1, 0) for a in "xyz"]
            reset = gui.add_button("reset all joints")
        self.wipe = self.betas = None
        if self.subject.coarse is not None:
            self.wipe = gui.add_slider("coarse share", 0.0, 1.0, 0.01, 0.0)
        else:
            self.notes.append("There is no coarse avatar in the folder, so there is no wipe.")
        if self.shape is not None:
            with gui.add_folder("Shape"):
                start = self.subject.avatar.rig.betas[:NUM_BETAS].clamp(-5, 5).tolist()
                self.betas = [
                    gui.add_slider(f"beta {i}", -5.0, 5.0, 0.01, round(b, 2))
                    for i, b in enumerate(start)
                ]
        else:
            self.notes.append(
                "The rig's anchors are not the toolkit's own, so it cannot follow other betas."
            )
        for note in self.notes:
            gui.add_markdown(note)
        self.joint.on_update(lambda _: self._show_angles())
        reset.on_click(lambda _: self._reset())
        for handle in self.angles:
            handle.on_update(lambda _: self._turn())
        for handle in [self.clip, self.wipe, *(self.betas or [])]:
            if handle is not None:
                handle.on_update(lambda _: self._dirty.set())

    def _turn(self) -> None:
        self.turns[self.joint.value] = tuple(float(a.value) for a in self.angles)
        self._dirty.set()

    def _show_angles(self) -> None:
        # read all three first: setting one calls `_turn`, which stores what the sliders show
        joint, degrees = self.joint.value, self.turns.get(self.joint.value, (0.0, 0.0, 0.0))
        for slider, value in zip(self.angles, degrees, strict=True):
            slider.value = round(value)
        self.turns[joint] = degrees

    def _reset(self) -> None:
        self.turns.clear()
        self._show_angles()
        self._dirty.set()

    def draw(self) -> None:
        """Send the avatar as the controls stand."""
        avatar = self.subject.avatar
        if self.wipe is not None and self.wipe.value > 0:
            avatar = wipe(self.subject.coarse, avatar, self.wipe.value)
        if self.betas is not None:
            betas = avatar.rig.betas.clone()
            wanted = torch.tensor([float(b.value) for b in self.betas])
            if not torch.allclose(wanted, betas[:NUM_BETAS].clamp(-5, 5), rtol=0, atol=6e-3):
                betas[:NUM_BETAS] = wanted
                avatar = self.shape.change(avatar, betas)
        pose, transl = t_pose(), torch.zeros(3)
        if self.clip.value in self.clips:
            pose, transl = frame_at(self.clips[self.clip.value], self._seconds)
        posed = avatar.posed(turn_joints(pose, dict(self.turns)), transl)
        self._splats.set_gaussians(**splat_arrays(posed))  # one message: never half of a frame
        self.frames += 1

    def _loop(self) -> None:
        before = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            moving = self.play.value and self.clip.value in self.clips
            if moving:
                self._seconds += (now - before) * self.speed.value
            before = now
            if moving or self._dirty.is_set():
                self._dirty.clear()
                self.draw()
            rest = 1 / FRAMES_PER_S - (time.monotonic() - now)
            self._stop.wait(max(rest, 0.005))

    def wait(self) -> None:
        """Return when the viewer has been stopped."""
        while not self._stop.wait(1.0):
            pass

    def stop(self) -> None:
        """Close the server and free the port."""
        self._stop.set()
        self._thread.join(5)
        self.server.stop()

    def iframe(self, height_px: int = 600) -> "IFrame":
        """The viewer inside a notebook's output, where the browser runs on this machine."""
        from IPython.display import IFrame

        return IFrame(self.url, width="100%", height=height_px)

    def _repr_html_(self) -> str:
        return self.iframe()._repr_html_()


def open_viewer(
    avatar: str | os.PathLike | Subject, *, host: str = "127.0.0.1", port: int = 0
) -> LiveViewer:
    """Start a viewer of an avatar and return at once; as a cell's last line it shows itself.

    Args:
        avatar: an `avatar.npz`, the folder of a run, or a subject.
        host: address to listen on; others than 127.0.0.1 let other machines in.
        port: 0 takes a free one.

    Raises:
        MissingFileError: no such avatar.
        MissingCapabilityError: viser is not installed.
        InputError: the port is in use.
    """
    require_viser()
    subject = avatar if isinstance(avatar, Subject) else load_subject(avatar)
    return LiveViewer(subject, host=host, port=free_port(host, port))
