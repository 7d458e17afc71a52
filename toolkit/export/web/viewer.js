// The page: unpacks the data, plays clips, follows mouse, fingers and keys.

const $ = id => document.getElementById(id);

function decode(text, kind) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new kind(bytes.buffer);
}

// 16 floats per Gaussian: centre; quaternion; scales; colour and opacity
function unpackAvatar(a) {
  const means = decode(a.means, Float32Array), quats = decode(a.quats, Int16Array);
  const scales = decode(a.scales, Uint16Array), rgba = decode(a.rgba, Uint8Array);
  const n = means.length / 3, packed = new Float32Array(16 * n), [low, high] = a.log_scales;
  for (let i = 0; i < n; i++) {
    const o = 16 * i, length = Math.hypot(...quats.subarray(4 * i, 4 * i + 4)) || 1;
    for (let k = 0; k < 3; k++) {
      packed[o + k] = means[3 * i + k];
      packed[o + 8 + k] = Math.exp(low + (high - low) * scales[3 * i + k] / 65535);
    }
    for (let k = 0; k < 4; k++) {
      packed[o + 4 + k] = quats[4 * i + k] / length;
      packed[o + 12 + k] = rgba[4 * i + k] / 255;
    }
  }
  return { name: a.name, means, packed };
}

function unpackRig(r) {
  const rig = { parents: r.parents, joints: new Float32Array(r.joints.flat()), anchors: decode(r.anchors, Float32Array), ids: decode(r.ids, Uint8Array) };
  const raw = decode(r.weights, Uint16Array);
  rig.weights = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i += 8) {
    let sum = 0;
    for (let k = i; k < i + 8; k++) sum += raw[k];
    for (let k = i; k < i + 8; k++) rig.weights[k] = raw[k] / sum;
  }
  return rig;
}

class Viewer {
  constructor(data) {
    this.rig = unpackRig(data.rig);
    this.avatars = data.avatars.map(unpackAvatar);
    this.clips = data.clips.map(c => ({ ...c, poses: decode(c.poses, Float32Array), transl: decode(c.transl, Float32Array) }));
    this.canvas = $("canvas");
    this.gpu = new Gpu(this.canvas, this.rig, this.avatars);
    this.floor = data.floor;
    this.home = { azimuth: 25, elevation: 8, radius: 4.2, fov: 28 };
    this.view = { ...this.home };
    this.wipe = this.avatars.length > 1 ? 0.5 : 0;
    this.time = 0; this.playing = true; this.clip = this.clips[0]; this.frames = 0; this.pending = 0; this.waiting = null;
    const blob = new Blob([$("sorter").textContent], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(blob));
    this.worker.onmessage = event => this.sorted(event.data);
    this.worker.onerror = event => showError(event.message);
    this.worker.postMessage({ rig: { ids: this.rig.ids, weights: this.rig.weights }, avatars: this.avatars.map(a => a.means) });
  }

  // frame of the clip at a time; a cycle walks on, so that its way is added again and again
  poseAt(clip, time) {
    const step = Math.floor(time * clip.fps), num = clip.length, frame = step % num, size = clip.poses.length / num;
    const repeats = Math.floor(step / num);
    return {
      pose: clip.poses.subarray(frame * size, (frame + 1) * size),
      transl: [0, 1, 2].map(k => clip.transl[3 * frame + k] + repeats * clip.way[k])
    };
  }

  camera(transl) {
    const p = this.rig.joints;
    const target = [p[0] + transl[0], this.floor + 0.95, p[2] + transl[2]];
    return { fov: this.view.fov, rows: lookAt({ ...this.view, target: this.view.target || target }) };
  }

  askSort(bones, camera) {
    this.pending++;
    this.worker.postMessage({ number: this.pending, bones, forward: camera.rows.slice(8, 11), which: this.avatars.map((_, i) => i) });
    this.busy = true;
  }

  sorted(message) {
    this.busy = false;
    message.which.forEach((which, i) => this.gpu.setOrder(which, message.orders[i]));
    if (this.waiting && message.number >= this.waiting.number) { const w = this.waiting; this.waiting = null; w.done(); }
  }

  parts() {
    if (this.avatars.length < 2) return [{ which: 0, from: 0, to: 1 }];
    return [{ which: 1, from: 0, to: this.wipe }, { which: 0, from: this.wipe, to: 1 }];
  }

  // draw a pose exactly: sorted for it, without floor. For programs; resolves to RGBA rows.
  async exact({ pose, transl = [0, 0, 0], view, which = 0, width, height }) {
    this.stopped = true;
    this.canvas.width = width; this.canvas.height = height;
    const bones = boneMatrices(this.rig, pose, transl), camera = { fov: view.fov, rows: lookAt(view) };
    await new Promise(done => { this.waiting = { number: this.pending + 1, done }; this.askSort(bones, camera); });
    this.gpu.setPose(bones);
    this.gpu.draw(camera, [{ which, from: 0, to: 1 }], null);
    const gl = this.gpu.gl, pixels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels; // rows from the bottom up
  }

  frame(now) {
    if (this.stopped) return;
    const seconds = this.last === undefined ? 0 : Math.min(0.1, (now - this.last) / 1000);
    this.last = now;
    if (this.playing) this.time += seconds;
    this.resize();
    const { pose, transl } = this.poseAt(this.clip, this.time);
    const bones = boneMatrices(this.rig, pose, transl), camera = this.camera(transl);
    if (!this.busy) this.askSort(bones, camera);
    this.gpu.setPose(bones);
    this.gpu.draw(camera, this.parts(), this.floor);
    this.frames++;
    requestAnimationFrame(t => this.frame(t));
  }

  resize() {
    const scale = Math.min(window.devicePixelRatio || 1, 2), { clientWidth, clientHeight } = this.canvas;
    const width = Math.max(1, Math.round(clientWidth * scale)), height = Math.max(1, Math.round(clientHeight * scale));
    if (this.canvas.width !== width || this.canvas.height !== height) { this.canvas.width = width; this.canvas.height = height; }
    $("line").style.left = 100 * this.wipe + "%";
  }
}

function listen(viewer) {
  const canvas = viewer.canvas, fingers = new Map(), view = () => viewer.view;
  const turn = (dx, dy) => { view().azimuth -= 0.4 * dx; view().elevation = Math.max(-20, Math.min(85, view().elevation + 0.3 * dy)); };
  const zoom = factor => { view().radius = Math.max(1, Math.min(12, view().radius * factor)); };
  const gap = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", e => { fingers.set(e.pointerId, { x: e.clientX, y: e.clientY }); canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", e => {
    const old = fingers.get(e.pointerId);
    if (!old) return;
    const before = fingers.size === 2 ? gap() : 0;
    fingers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    if (fingers.size === 1) turn(e.clientX - old.x, e.clientY - old.y);
    else if (fingers.size === 2) zoom(before / Math.max(gap(), 1));
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, e => fingers.delete(e.pointerId));
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(0.001 * e.deltaY)); }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const keys = { ArrowLeft: () => turn(-20, 0), ArrowRight: () => turn(20, 0), ArrowUp: () => turn(0, 20), ArrowDown: () => turn(0, -20), "+": () => zoom(0.9), "-": () => zoom(1.1), " ": () => $("play").click() };
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  viewer.clips.forEach((clip, i) => $("clip").append(new Option(clip.name, i)));
  $("clip").addEventListener("change", () => { viewer.clip = viewer.clips[$("clip").value]; viewer.time = 0; });
  $("play").addEventListener("click", () => { viewer.playing = !viewer.playing; $("play").textContent = viewer.playing ? "Pause" : "Play"; });
  $("home").addEventListener("click", () => { viewer.view = { ...viewer.home, azimuth: 0 }; });
  $("wipe").addEventListener("input", () => { viewer.wipe = Number($("wipe").value); });
  $("controls").addEventListener("submit", e => e.preventDefault());
  if (viewer.avatars.length > 1) for (const id of ["line", "left", "right", "wipe-label"]) $(id).hidden = false;
}

function showError(text) {
  $("message").textContent = text;
  $("message").hidden = false;
}

try {
  const viewer = window.viewer = new Viewer(JSON.parse($("data").textContent));
  listen(viewer);
  requestAnimationFrame(t => viewer.frame(t));
} catch (error) {
  showError(error.message);
}
