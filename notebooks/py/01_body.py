# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The body: what do 20 betas and 55 joints fix, and what can one photo tell?
#
# photo → points and mask → **body** → coarse Gaussians → turntable → SDEdit → refit → animation
#
# Previous: [00 Quickstart](00_quickstart.ipynb) · Next:
# [02 Gaussian splatting](02_gaussian_splatting.ipynb) · Names, units and axes:
# [conventions](../docs/conventions.md)
#
# Runs on two CPU cores in about a minute; no GPU is needed.

# %% [markdown]
# ![Shape moves the vertices, the joints follow, the pose turns them; a camera sees directions, not
# distances](img/01_body.svg)
#
# *Top: a body in three steps. Bottom: a photo fixes where a joint lies across the view. Along the
# view, only what we know about bodies in general holds it back.*

# %% [markdown]
# **You will learn**
# - how two sets of numbers, shape and pose, place 19,158 vertices, in 30 lines that you can read;
# - that these lines agree with our toolkit and with the reference package `smplx`;
# - how well a body is fitted to a photo, across the view and along it;
# - how to compute the uncertainty of each joint before any fit, and to check it with fits.
#
# **You need** the installed `toolkit` and some linear algebra. No other notebook is needed. Letters
# that are used here only: $\beta$ shape, $\theta$ pose, $w$ skinning weights, $\sigma$ the noise of
# the detected points in pixels.

# %% tags=["parameters"]
profile = "embedded"  # "full" (no GPU): steps 1 to 3 use your SMPL-X body; the fits are as before
body_file = ""  # an SMPLX_NEUTRAL.npz of your own for steps 1 to 3; empty: the profile's body
beta_index = 1  # which shape direction the pictures show: 0 to 19 (0 to 9 for some SMPL-X files)
beta_value = 2.5  # how far along it: -3 to 3 are people, beyond are caricatures
joint = "left_elbow"  # which joint the pictures turn: one of toolkit.body.JOINT_NAMES
angle_deg = 70.0  # by how much, about the vertical axis: -180 to 180
num_people = 8  # test people to fit: 1 to 64
noise_px = 4.0  # noise of the detected points for the ellipsoids: 0.5 to 50
prior_weight = 1.0  # how much the common poses and shapes count: 0.01 to 100
hide_legs = False  # True: the photo ends above the knees
live = False  # True: sliders under the last picture; needs a running notebook
fast = False  # two people and two noise levels, for tests
seed = 0  # number of the first test person, and seed of the noise
out_dir = "../runs/body"  # where the figures and the body for smplx go

# %%
import contextlib
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np
import smplx
import torch
from torch.nn.functional import normalize

from toolkit import show
from toolkit.body import JOINT_NAMES, a_pose, load_body
from toolkit.cameras import orbit_cameras
from toolkit.coarse import lhm
from toolkit.evaluate import fit_similarity
from toolkit.people import photo_of, sample_person
from toolkit.photo import detect, fit_body
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.smplify import ReducedBody, lift, load_lifter
from toolkit.photo.smplify.pose_prior import pose_statistics
from toolkit.profiles import check_full_run
from toolkit.render import rasterize_mesh
from toolkit.run import model_path
from toolkit.weights import label, require

# %%
out = Path(out_dir)
out.mkdir(parents=True, exist_ok=True)
ours = load_body()  # of the test people; its truth is known
path = Path(body_file) if body_file else model_path("body.npz", made_by="tools.bake.body")
if profile == "full" and not body_file:
    path = lhm.find_file(require("smplx"), "SMPLX_NEUTRAL.npz")
body = load_body(path)

# %%
assert 0 <= beta_index < body.num_betas, f"beta_index: {beta_index}, wanted 0..{body.num_betas - 1}"
assert joint in JOINT_NAMES, f"joint: {joint!r}, wanted one of {', '.join(JOINT_NAMES)}"

# %%
assert num_people >= 1, f"num_people: {num_people}, wanted at least 1"
assert noise_px > 0 and prior_weight > 0, "noise_px and prior_weight: wanted above 0"
num_people = min(num_people, 2) if fast else num_people
levels_px = [0.0, 10.0] if fast else [0.0, 2.5, 5.0, 10.0]

# %% [markdown]
# ## 1. Shape: a sum of directions
# A body model starts from the average person $\bar v$, a mesh of $V$ vertices in the T-pose. Each
# shape coefficient moves all vertices along a fixed direction $S_k$:
#
# $$v(\beta) = \bar v + \sum_k \beta_k\, S_k \tag{1}$$
#
# That is all. There is no network and no loop, only one matrix product.

# %%
betas = torch.zeros(body.num_betas)
betas[beta_index] = beta_value
v = body.v_template + body.shapedirs @ betas  # (V,3,S) @ (S,) -> (V,3), Eq. 1
print("v_template", tuple(body.v_template.shape), " shapedirs", tuple(body.shapedirs.shape))

# %% [markdown]
# To see it, we draw the mesh in grey. A face is brighter the more it looks at the camera. Our body
# wears a closed suit, one of its further layers.

# %%
faces = torch.cat([body.faces_body, *(body.layers[n] for n in ("tights",) if n in body.layers)])


def draw(vertices, azimuth_deg=0.0, size=(380, 340)):
    """A grey picture of a mesh, from an azimuth around it."""
    camera = orbit_cameras([azimuth_deg], 0.0, radius_m=5.0, size=size, target=(0, -0.25, 0))
    seen = rasterize_mesh(vertices.numpy(), faces.numpy(), camera)
    corners = vertices[faces[seen.face_id]]  # (H,W,3,3)
    edges = corners[..., 1:, :] - corners[..., :1, :]
    normal = normalize(torch.linalg.cross(edges[..., 0, :], edges[..., 1, :]), dim=-1)
    light = (normal @ camera.viewmats[0, 2, :3]).abs()
    gray = torch.where(torch.from_numpy(seen.mask), 0.15 + 0.7 * light, 1.0)
    return gray[..., None].expand(-1, -1, 3)


def sheet(pictures, columns=5):
    """Titled pictures side by side."""
    tiles = show.contact_sheet(list(pictures.values()), columns=columns, labels=list(pictures))
    return show.picture_row(tiles, height_px=len(tiles))


# %% [markdown]
# **Guess:** is the first coefficient "height", the second "weight"? The directions come from
# principal components. They have no names, and most of them mix several traits.


# %%
def shaped(index, value):
    return body.v_template + value * body.shapedirs[..., index]


sheet(
    {f"beta {k} = {s:+d}": draw(shaped(k, s)) for k in (0, beta_index) for s in (-2, 2)}
    | {f"beta {beta_index} = {beta_value:+g}": draw(v)}
)

# %% [markdown]
# Beta 0 is size as a whole. The next one trades width for height. The last ones are details. How
# much does each direction move a vertex? The bars show the root mean square over the mesh for a
# coefficient of 1, which is one standard deviation of the population.

# %%
size_mm = 1e3 * body.shapedirs.square().sum(1).mean(0).sqrt()
fig = show.figure(760, 240)
ax = fig.add_subplot(title="what one unit of each beta moves", xlabel="beta", ylabel="mm, RMS")
ax.bar(range(len(size_mm)), size_mm, color=show.STAGE_COLORS[0])
ax.set_xticks(range(len(size_mm)))
show.quiet_axes(ax)
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=240)

# %% [markdown]
# ## 2. Joints: means of vertices
# A joint lies inside the body, where no vertex is. The model places it as a weighted mean of the
# vertices around it, with fixed weights whose rows sum to 1:
#
# $$j(\beta) = \mathcal{J}\, v(\beta) \tag{2}$$
#
# So the joints follow the shape by themselves: longer legs have lower knees.

# %%
joints = body.J_regressor @ v  # (55,V) @ (V,3), Eq. 2
average = body.J_regressor @ body.v_template
moved_mm = 1e3 * (joints - average).norm(dim=1)
k = int(moved_mm[:22].argmax())
print(f"beta {beta_index} = {beta_value:+g} moves {JOINT_NAMES[k]} most: {moved_mm[k]:.0f} mm")

# %% [markdown]
# ## 3. Pose: turn each joint, then blend
# A rotation is stored as an axis-angle vector: its direction is the axis, its length the angle.
# Rodrigues' formula turns it into a matrix, with $K$ the matrix of the cross product with the unit
# axis and $\alpha$ the angle:
#
# $$R = I + \sin\alpha\, K + (1 - \cos\alpha)\, K^2 \tag{3}$$


# %%
def rotation(axis_angle):
    angle = axis_angle.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    x, y, z = (axis_angle / angle).unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3) + sin * K + (1 - cos) * K @ K  # Eq. 3


# %% [markdown]
# The joints form a tree with the pelvis as its root. Each joint turns relative to its parent, and
# sits at the end of the parent's bone. So its frame in the world is a product along the path:
#
# $$G_j = G_{p(j)} \begin{pmatrix} R_j & j_j - j_{p(j)} \\ 0 & 1 \end{pmatrix} \tag{4}$$


# %%
def frames(rotations, joints, parents):
    world = []
    for j, parent in enumerate(parents.tolist()):
        local = torch.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = joints[j] - (joints[parent] if j else 0)
        world.append(world[parent] @ local if j else local)  # Eq. 4
    return torch.stack(world)


# %% [markdown]
# *Linear blend skinning* moves a vertex with a weighted mean of these frames. First, each frame
# takes off the joint's own place, so that it acts on points of the T-pose:
#
# $$v'_i = \Big(\sum_j w_{ij}\, G_j \begin{pmatrix} I & -j_j \\ 0 & 1 \end{pmatrix}\Big)\, v_i
# \tag{5}$$
#
# A licensed SMPL-X file also has *pose correctives*: a bulge at bent joints, linear in $R - I$. In
# our body they are zero.


# %%
def skin(points, weights, world, joints):
    T = world.clone()
    T[:, :3, 3] -= (world[:, :3, :3] @ joints[..., None])[..., 0]
    blended = torch.einsum("vj,jab->vab", weights, T)  # the sum in Eq. 5
    return (blended[:, :3, :3] @ points[..., None])[..., 0] + blended[:, :3, 3]


def posed(betas, pose):
    v = body.v_template + body.shapedirs @ betas
    joints, R = body.J_regressor @ v, rotation(pose)
    if body.posedirs is not None:
        v = v + body.posedirs @ (R[1:] - torch.eye(3)).flatten()
    world = frames(R, joints, body.parents)
    return skin(v, body.lbs_weights, world, joints), world[:, :3, 3]


# %%
bent = a_pose()
bent[JOINT_NAMES.index(joint), 1] = -np.radians(angle_deg)
vertices, joints = posed(betas, bent)

# %%
rest = posed(torch.zeros_like(betas), torch.zeros(55, 3))[0]
named = {"T-pose": draw(rest), "beta": draw(v), "A-pose": draw(posed(betas, a_pose())[0])}
sheet(named | {f"{joint} {angle_deg:g} deg": draw(vertices), "from the left": draw(vertices, 90)})

# %% [markdown]
# ## Are our 30 lines right?
# We compare with the toolkit, and with `smplx`, the package of SMPL-X's authors. Our body's file
# has SMPL-X's layout, so `smplx` reads it. With `body_file` you drop in your own SMPL-X file, and
# all steps so far use it.

# %%
(out / "smplx").mkdir(exist_ok=True)
link = out / "smplx" / "SMPLX_NEUTRAL.npz"
link.unlink(missing_ok=True)
link.symlink_to(path.resolve())
options = {"num_betas": body.num_betas, "use_pca": False, "flat_hand_mean": True, "ext": "npz"}
with contextlib.redirect_stdout(io.StringIO()):  # it warns about files of 20 directions
    reference = smplx.create(str(out), model_type="smplx", gender="neutral", **options)


# %%
def by_smplx(betas, pose):
    parts = {"global_orient": (0, 1), "body_pose": (1, 22), "jaw_pose": (22, 23)}
    parts |= {"leye_pose": (23, 24), "reye_pose": (24, 25)}
    parts |= {"left_hand_pose": (25, 40), "right_hand_pose": (40, 55)}
    poses = {name: pose[a:b].reshape(1, -1) for name, (a, b) in parts.items()}
    return reference(betas=betas[None], **poses).vertices[0].detach()


# %%
generator = torch.Generator().manual_seed(0)
b = torch.randn(body.num_betas, generator=generator)
t = 0.4 * torch.randn(55, 3, generator=generator)

# %% tags=["nbval-check-output"]
mine = posed(b, t)[0]
worst_um = {"toolkit.body": 1e6 * (mine - body(b, t).vertices).abs().max()}
worst_um["smplx"] = 1e6 * (mine - by_smplx(b, t)).abs().max()
for name, worst in worst_um.items():
    print(f"{name}: the same to within 10 micrometres: {bool(worst < 10)}")

# %% [markdown]
# ## What do these numbers fix?
# A shape and a pose are few numbers for so many vertices. They say nothing about clothes, hair or
# skin; later stages add these as Gaussians that hang on the body.

# %% tags=["nbval-check-output"]
print(f"{ours.num_betas} betas + {len(JOINT_NAMES)} joints x 3 + 3 for the place:", end=" ")
print(f"{ours.num_betas + 3 * len(JOINT_NAMES) + 3} numbers")
print(f"{len(ours.v_template)} vertices x 3: {3 * len(ours.v_template)} numbers")

# %% [markdown]
# ## 4. Fit test people
# These people are drawn from a generator, so their true body is known, and no model was trained on
# them. A small network finds 33 points and a mask in the photo. The fit then searches the body
# whose projection explains them (SMPLify). Nothing of the truth goes in.

# %%
people = [sample_person(seed + i, "test") for i in range(num_people)]
photos = [photo_of(p, supersample=2)[0] for p in people]
seen = [detect(photo / np.float32(255)) for photo in photos]
fits = [fit_body(s, photo.shape[:2], ours) for s, photo in zip(seen, photos, strict=True)]

# %%
num_full = sum(p.attributes["framing"] == "full" for p in people)
print(
    f"{len(fits)} bodies fitted: {num_full} photos show the whole body, the others end at the hips"
)


# %%
def outlined(photo, detection, fitted):
    posed_body = ours(fitted.betas, fitted.pose, fitted.transl).vertices.numpy()
    mask = rasterize_mesh(posed_body, ours.faces_body.numpy(), fitted.camera).mask
    return show.alignment_overlay(photo, detection.mask, mask.astype(np.float32))[::2, ::2]


triples = list(zip(photos, seen, fits, strict=True))
sheet({f"person {seed + i}": outlined(*triple) for i, triple in enumerate(triples)}, columns=4)

# %% [markdown]
# Teal is the outline of the person in the photo, pink that of the fitted body. The body lies inside
# the clothes. In the picture the fits look right. **Guess:** how many centimetres are the joints
# off in 3D, and in which direction?
#
# One photo does not tell a small person nearby from a tall one far away. So we first remove the
# best similarity (scale, turn, shift), and then split the error of 22 joints.


# %%
def joint_offsets_mm(person, fitted):
    """What is off in 3D: x and y lie across the view, z along it."""
    true = ours(person.betas, person.pose, person.transl).joints[:22]
    found = ours(fitted.betas, fitted.pose, fitted.transl).joints[:22]
    return 1e3 * (fit_similarity(found, true)(found) - true)


def split(offsets):
    """Root mean square per axis: across the view (x and y), and along it (z)."""
    across, along = offsets[..., :2].square().mean().sqrt(), offsets[..., 2].square().mean().sqrt()
    return float(across), float(along)


# %%
errors = np.array([split(joint_offsets_mm(p, f)) for p, f in zip(people, fits, strict=True)])

# %%
fig = show.figure(760, 260)
ax = fig.add_subplot(title="joint error of each fit, per axis", ylabel="mm, RMS")
x = np.arange(num_people)
for k, name in enumerate(("across the view", "along the view")):
    ax.bar(x + 0.4 * k, errors[:, k], 0.38, color=show.STAGE_COLORS[k], label=name)
ax.set_xticks(x + 0.2, [f"{seed + i}\n{p.attributes['framing']}" for i, p in enumerate(people)])
ax.legend(frameon=False)
show.quiet_axes(ax)
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=260)

# %%
ratio = errors[:, 1] / errors[:, 0]
print("per axis, mean over people: {:.0f} mm across, {:.0f} mm along".format(*errors.mean(0)))
print(f"along is larger for {(ratio > 1).sum()} of {num_people} people; ", end="")
print(f"median of the ratio: {np.median(ratio):.1f}")

# %% [markdown]
# So the picture looked right because a picture shows only two of three axes. Worst are the photos
# that end at the hips: their legs are a guess. Eight people are few, and the ratio differs much
# from one to the next; `docs/results.md` has 64.

# %% [markdown]
# ## 5. What the photo leaves open, computed
# Could a better fit remove this error? We ask the geometry. Let $u$ hold the 89 unknowns: the pose
# of 22 joints, the betas, and where the camera is. The detected points are
# $y = f(u) + \text{noise}$, where $f$ is equations 1 to 5 and a projection. Near the truth, $f$ is
# almost linear: $f(u + \delta) \approx f(u) + A\,\delta$. The joints move by $B\,\delta$.

# %%
small = ReducedBody.of(ours)  # the same body, with only the vertices that carry the 33 points


def points_of(u, focal):
    """The 33 points in pixels from the picture's centre, then the 22 joints in metres."""
    points, _, joints = small.posed(u[66:86], u[:66].view(22, 3), surface=False)
    place = torch.stack([u[86], u[87], torch.ones(())]) * u[88].exp()
    in_camera = points * torch.tensor([1.0, -1.0, -1.0]) + place
    return focal * in_camera[:, :2] / in_camera[:, 2:], joints


# %%
def linearise(person):
    """The derivatives A and B at the true body, and what they were taken of."""
    camera = person.photo_camera
    shift, focal = camera.viewmats[0, :3, 3], camera.Ks[0, 0, 0]
    place = torch.cat([shift[:2] / shift[2], shift[2:].log()])
    u = torch.cat([person.pose[:22].flatten(), person.betas, place])
    pixels, joints = points_of(u, focal)
    A, B = torch.func.jacrev(points_of)(u, focal)  # (33,2,89) and (22,3,89)
    inside = (pixels.abs() < camera.width / 2).all(1)  # the photo shows these points
    return SimpleNamespace(
        A=A * inside[:, None, None], B=B, joints=joints, pixels=pixels, inside=inside, focal=focal
    )


geometry = [linearise(person) for person in people]

# %% [markdown]
# Let the noise be Gaussian with standard deviation $\sigma$, and common poses and shapes Gaussian
# with precision $P$ (one over the variance). Then the bodies that fit the photo are Gaussian, too:
#
# $$\operatorname{cov}(u) = \Big(\frac{A^\top A}{\sigma^2} + P\Big)^{-1}, \qquad
# \operatorname{cov}(j) = B \operatorname{cov}(u)\, B^\top \tag{6}$$
#
# The first term is what the photo says. The second is what we knew before: here a hand-made spread
# of each joint's rotation, and betas of standard deviation 1.

# %%
common = pose_statistics()[1]  # (22,3) radians: how much people turn each joint
LEGS = [i for i, n in enumerate(KEYPOINT_NAMES) if n.split("_")[-1] in ("knee", "ankle", "heel")]
LEGS += [i for i, n in enumerate(KEYPOINT_NAMES) if n.endswith("foot_index")]


def covariance(g, noise_px, prior_weight=1.0, hide_legs=False, spread=common, betas_spread=1.0):
    """Of each joint relative to the pelvis, (22,3,3) square metres: Eq. 6."""
    shown = torch.ones(33, 1, 1)
    shown[LEGS] = 0.0 if hide_legs else 1.0
    photo = (g.A * shown).flatten(0, 1).double() / noise_px
    camera = torch.tensor([1.0, 1.0, 0.5])  # position: nearly free
    spreads = torch.cat([spread.flatten(), torch.full((20,), betas_spread), camera]).double()
    P = torch.diag(prior_weight / spreads**2)
    return g.B.double() @ torch.linalg.inv(photo.T @ photo + P) @ g.B.double().mT


# %% [markdown]
# We draw the person who comes first among those shown from head to foot. An ellipse has a radius of
# one standard deviation. **Guess:** which way will the ellipses point?


# %%
def ellipses(ax, g, cov, axes, title):
    """The skeleton, and an ellipse of one standard deviation around each joint."""
    j = g.joints[:, axes]
    for child, parent in enumerate(ours.parents[:22].tolist()):
        if child:
            ax.plot(*j[[parent, child]].T, color=show.INK, lw=1.5)
    t = torch.linspace(0, 2 * torch.pi, 50)
    circle = torch.stack([t.cos(), t.sin()]).double()
    for mean, c in zip(j, cov[:, axes][..., axes], strict=True):
        values, vectors = torch.linalg.eigh(c)
        ring = mean[:, None] + (vectors * values.clamp_min(0).sqrt()) @ circle
        ax.fill(*ring, color=show.STAGE_COLORS[1], alpha=0.3)
    ax.set(aspect="equal", title=title, xticks=[], yticks=[], ylim=(-1.2, 0.9), xlim=(-0.8, 0.8))
    ax.set_facecolor(show.PAPER)


# %%
whole = [i for i, p in enumerate(people) if p.attributes["framing"] == "full"]
first = geometry[whole[0] if whole else 0]


def portrait(noise_px, prior_weight=1.0, hide_legs=False, beta_value=0.0):
    """A body with one beta changed, and the joints' uncertainty from the front and the side."""
    fig = show.figure(1000, 400)
    left, front, side = fig.subplots(1, 3)
    left.imshow(draw(shaped(beta_index, beta_value)).numpy())
    left.set(title=f"beta {beta_index} = {beta_value:+g}", xticks=[], yticks=[])
    cov = covariance(first, noise_px, prior_weight, hide_legs)
    ellipses(front, first, cov, [0, 1], f"as the camera sees it, {noise_px:g} px")
    ellipses(side, first, cov, [2, 1], "from the side, camera at the right")
    fig.tight_layout()
    return show.figure_pixels(fig)


# %%
picture = portrait(noise_px, prior_weight, hide_legs, beta_value)
show.write_image(out / "ellipsoids.png", picture)
show.picture_row(picture, height_px=400)

# %% [markdown]
# From the camera the ellipses are small. From the side they are long: they point *along the view*.
# A point that moves along its ray projects to the same pixel, so the photo is silent, and the prior
# alone bounds the error. No fit can do better than the photo allows. It can only bring a better
# prior.

# %%
cov = covariance(first, noise_px, prior_weight, hide_legs)
for name in ("left_shoulder", "left_wrist", "left_ankle"):
    deviations = 1e3 * torch.linalg.eigvalsh(cov[JOINT_NAMES.index(name)]).clamp_min(0).sqrt()
    print(f"{name:14} half axes in mm:", *(f"{d:.0f}" for d in deviations))

# %% [markdown]
# ## 6. A network is a better prior
# Our fit brings such a prior. A small network, the *lifter*, saw many people. It guesses from the
# detected points how much each joint is turned, and how sure it is. Does equation 6 with *its*
# spreads predict the errors of section 4?
#
# To compare, we need the noise of the detected points, and must remove the similarity here as well:
# shifts, small turns and a scale move the joints along seven directions, which we project out of
# $B$.

# %%
network = [lift(load_lifter(), s).pose_spread for s in seen]
off_px = [
    torch.from_numpy(s.keypoints[:, :2]) - g.pixels - p.photo_camera.width / 2
    for s, g, p in zip(seen, geometry, people, strict=True)
]

# %%
off_px = torch.cat([o[g.inside] for o, g in zip(off_px, geometry, strict=True)])
net_px = float(off_px.square().mean().sqrt())
print(f"noise of the detected points: {net_px:.1f} px per axis, RMS")


# %%
def without_similarity(g):
    """The geometry with shift, turn and scale of all joints projected out of B."""
    unit, j = torch.eye(3), g.joints
    turns = [torch.linalg.cross(axis.expand(22, 3), j) for axis in unit]
    along = torch.stack([*(axis.expand(22, 3) for axis in unit), *turns, j], -1).reshape(66, 7)
    Q, flat = torch.linalg.qr(along)[0], g.B.reshape(66, -1)
    return SimpleNamespace(A=g.A, B=(flat - Q @ (Q.T @ flat)).reshape(g.B.shape))


# %%
reduced = [without_similarity(g) for g in geometry]


def predict_mm(noise_px, spreads):
    """Across and along, per axis, mean over people."""
    covs = [covariance(g, noise_px, spread=s) for g, s in zip(reduced, spreads, strict=True)]
    var = torch.stack([c.diagonal(0, 1, 2).mean(0) for c in covs])  # (people,3)
    return 1e3 * float(var[:, :2].mean(1).sqrt().mean()), 1e3 * float(var[:, 2].sqrt().mean())


# %%
for name, spreads in (("common poses", [common] * num_people), ("the network", network)):
    print(
        "prior: {:13} {:4.0f} mm across, {:4.0f} along".format(name, *predict_mm(net_px, spreads))
    )
print("the fits:            {:4.0f} mm across, {:4.0f} along".format(*errors.mean(0)))

# %% [markdown]
# ## 7. Joint error under noise
# A computed ellipsoid is a promise, so we test it. Noise of 0 to 10 px is added to the detected
# points of every person, and the whole fit runs again. The photos are 512 px wide.


# %%
def refit(detection, sigma_px, generator):
    points = detection.keypoints.copy()
    points[:, :2] += generator.normal(0, sigma_px, (33, 2))
    return fit_body(replace(detection, keypoints=points), photos[0].shape[:2], ours)


rng = np.random.default_rng(seed)
measured = {0.0: errors}
for sigma_px in levels_px[1:]:
    again = [refit(s, sigma_px, rng) for s in seen]
    offsets = [joint_offsets_mm(p, f) for p, f in zip(people, again, strict=True)]
    measured[sigma_px] = np.array([split(o) for o in offsets])

# %%
grid = np.linspace(0, 10, 11)
total_px = np.hypot(grid, net_px)  # the detector's own noise comes on top
curves = {"common poses": [predict_mm(s, [common] * num_people) for s in total_px]}
curves["the network"] = [predict_mm(s, network) for s in total_px]
fig = show.figure(900, 360)
for k, (ax, name) in enumerate(zip(fig.subplots(1, 2), ("across", "along"), strict=True)):
    mean = [m[:, k].mean() for m in measured.values()]
    error = [m[:, k].std() / max(1, num_people - 1) ** 0.5 for m in measured.values()]
    ax.errorbar(levels_px, mean, error, fmt="o", color=show.INK, label="fits, standard error")
    for prior, color in zip(curves, show.STAGE_COLORS, strict=False):
        ax.plot(grid, [c[k] for c in curves[prior]], color=color, label=f"Eq. 6, {prior}")
    ax.set(title=f"{name} the view", xlabel="added noise, px", ylabel="mm per axis", ylim=(0, None))
    show.quiet_axes(ax)
fig.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
fig.tight_layout(rect=(0, 0.08, 1, 1))
show.picture_row(show.figure_pixels(fig), height_px=360)

# %% [markdown]
# Where the noise is small, equation 6 with the network's spreads comes near to the fits. It was
# given no fit: only the geometry, the detector's noise, and the network's word. The hand-made prior
# promises far less than the fits reach along the view. With more noise the fits get worse than
# promised: the network is fed the noisy points as well, and its stated spread no longer holds.

# %% [markdown]
# ## Knobs
# Each picture changes one thing. Hidden legs: their ellipses grow to what the prior allows. A
# heavier prior shrinks every ellipse, also where a person stands in an uncommon pose and the prior
# is wrong: a small ellipse is no proof.

# %%
settings = {
    "as above": {},
    "legs hidden": {"hide_legs": True},
    "noise 10 px": {"noise_px": 10.0},
    "prior x 10": {"prior_weight": 10.0},
    "prior x 0.1": {"prior_weight": 0.1},
    "network's prior": {"spread": network[whole[0] if whole else 0]},
}

# %%
base = {"noise_px": noise_px, "prior_weight": 1.0}
results = {name: covariance(first, **(base | changed)) for name, changed in settings.items()}

# %%
fig = show.figure(1100, 300)
for ax, (name, cov) in zip(fig.subplots(1, len(results)), results.items(), strict=True):
    ellipses(ax, first, cov, [2, 1], name)
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=300)


# %%
def turn(noise_px, prior_weight, hide_legs, beta_value):
    return show.picture_row(portrait(noise_px, prior_weight, hide_legs, beta_value), height_px=400)


sliders = ipywidgets.interactive(
    turn,
    noise_px=(0.5, 20.0),
    prior_weight=ipywidgets.FloatLogSlider(1.0, min=-2, max=2),
    hide_legs=False,
    beta_value=(-3.0, 3.0),
)
sliders if live else print("set live = True in the parameters for sliders")

# %%
# Check: all of this also holds in the fast profile
assert max(worst_um.values()) < 10, "our 30 lines are another body model"
assert errors[:, 1].mean() > errors[:, 0].mean(), "the depth is better than the picture"

# %%
low, high = measured[min(levels_px)], measured[max(levels_px)]
assert high[:, 0].mean() > low[:, 0].mean(), "noise in the picture does not matter"
size = {name: cov.diagonal(0, 1, 2) for name, cov in results.items()}  # (22,3) variances
assert size["as above"][:, 2].mean() > size["as above"][:, 0].mean(), "depth is not the worst"
assert size["legs hidden"][7].sum() > 2 * size["as above"][7].sum(), "hidden ankles are known"
assert size["prior x 10"].sum() < size["as above"].sum() < size["prior x 0.1"].sum()

# %%
across, along = predict_mm(net_px, network)
assert 0.4 < across / errors[:, 0].mean() < 2.5 and 0.4 < along / errors[:, 1].mean() < 2.5
if profile == "full" and not body_file:
    print(check_full_run("cpu", label("smplx", require("smplx"))))
print("all checks passed")

# %% [markdown]
# ## Exercises
# 1. Put all weight of each vertex on its strongest joint (`weights.argmax`), and bend the elbow.
#    What goes wrong, and where?
# 2. How much does the unknown size of a person contribute to the ellipsoids? Fix the betas: give
#    them a spread of 0.01 instead of 1.
# 3. Suppose a second camera stood at the person's left side. Which directions would its points fix?
#    Add its information to equation 6. (Turn the joints: its picture shows $-z$ and $y$.)

# %% [markdown]
# <details><summary><b>Solution 1</b> (the code is in the folded cell below)</summary>
#
# The mesh tears: neighbours with different joints move apart. Skinning weights that change
# gradually are what keeps skin together. Blending has a price, too: the mean of two rotations is no
# rotation, and strongly bent joints lose volume.
#
# </details>

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
hard = torch.nn.functional.one_hot(body.lbs_weights.argmax(1), 55).float()
world = frames(rotation(bent), body.J_regressor @ v, body.parents)
torn = skin(v, hard, world, body.J_regressor @ v)
sheet({"blended": draw(vertices, 30), "one joint per vertex": draw(torn, 30)})

# %% [markdown]
# <details><summary><b>Solution 2</b></summary>
#
# It helps a little: limbs of known length say how far they lean, up to the sign. Most of the
# uncertainty lies in the pose.
#
# </details>

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
for betas_spread in (1.0, 0.01):
    c = (
        1e3
        * covariance(first, noise_px, betas_spread=betas_spread).diagonal(0, 1, 2).mean(0).sqrt()
    )
    print(f"spread of the betas {betas_spread}: {c[0]:.1f} mm across, {c[2]:.1f} mm along")

# %% [markdown]
# <details><summary><b>Solution 3</b></summary>
#
# The second picture shows what the first is silent about, so the error along the first view falls
# to the size of the error across it. For the derivative, leave out the perspective: pixels are then
# focal length times metres over the distance.
#
# </details>


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
def covariance_of_two(g, person, noise_px):
    distance = person.photo_camera.viewmats[0, 2, 3]
    place = torch.cat([person.pose[:22].flatten(), person.betas, torch.zeros(3)])

    def from_left(u):
        points = small.posed(u[66:86], u[:66].view(22, 3), surface=False)[0]
        return g.focal * points[:, [2, 1]] / distance

    side = SimpleNamespace(A=torch.cat([g.A, torch.func.jacrev(from_left)(place)], 1), B=g.B)
    return covariance(side, noise_px)


two = covariance_of_two(first, people[whole[0] if whole else 0], noise_px)
for name, c in (("one camera", covariance(first, noise_px)), ("two cameras", two)):
    print(f"{name:12} {1e3 * c[:, 2, 2].mean().sqrt():.0f} mm along z")

# %% [markdown]
# ## Recap
# - Shape is a sum of directions; joints are means of vertices; pose is a chain of rotations whose
#   frames are blended.
# - These 30 lines agree with `toolkit.body` and `smplx`.
# - One photo fixes the body across the view. Along the view it is the prior that speaks.
# - The uncertainty can be computed before the fit. It is largest for what the photo does not show.
#
# Every later stage inherits this error: [04 Misalignment](04_misalignment.ipynb) measures what it
# costs. Next: [02 Gaussian splatting](02_gaussian_splatting.ipynb).
#
# **References:** Loper et al. 2015, SMPL (Eq. 1-5: its Eq. 2-4); Pavlakos et al. 2019, SMPL-X;
# Bogo et al. 2016, SMPLify; Bazarevsky et al. 2020, BlazePose; `toolkit.body.model`,
# `toolkit.photo.smplify`, `experiments.photo` (64 people).
