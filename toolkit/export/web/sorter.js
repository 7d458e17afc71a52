// A worker: the order of the Gaussians from far to near, in a pose and from a camera. The depth of
// a Gaussian is linear in its blended matrix, so each joint needs four numbers only.
"use strict";
let rig = null, avatars = [];

function sortOne(means, rows) {
  const n = means.length / 3, depths = new Float32Array(n), { ids, weights } = rig;
  let near = Infinity, far = -Infinity;
  for (let i = 0; i < n; i++) {
    let a = 0, b = 0, c = 0, d = 0;
    for (let k = 8 * i; k < 8 * i + 8; k++) {
      const w = weights[k], j = 4 * ids[k];
      if (w === 0) continue;
      a += w * rows[j]; b += w * rows[j + 1]; c += w * rows[j + 2]; d += w * rows[j + 3];
    }
    const z = a * means[3 * i] + b * means[3 * i + 1] + c * means[3 * i + 2] + d;
    depths[i] = z;
    if (z < near) near = z;
    if (z > far) far = z;
  }
  // counting sort over 65,536 steps of depth: 0.03 mm for a person of 2 m
  const steps = 65535, scale = steps / Math.max(far - near, 1e-9);
  const starts = new Uint32Array(steps + 2), keys = new Uint16Array(n);
  for (let i = 0; i < n; i++) {
    keys[i] = steps - Math.round((depths[i] - near) * scale);
    starts[keys[i] + 1]++;
  }
  for (let k = 1; k < starts.length; k++) starts[k] += starts[k - 1];
  const order = new Uint32Array(256 * Math.ceil(n / 256)); // whole rows of the texture
  for (let i = 0; i < n; i++) order[starts[keys[i]]++] = i;
  return order;
}

onmessage = event => {
  const m = event.data;
  if (m.rig) { rig = m.rig; avatars = m.avatars; return; }
  const num = m.bones.length / 12, rows = new Float32Array(4 * num), v = m.forward;
  for (let j = 0; j < num; j++) for (let c = 0; c < 4; c++)
    rows[4 * j + c] = v[0] * m.bones[12 * j + c] + v[1] * m.bones[12 * j + 4 + c] + v[2] * m.bones[12 * j + 8 + c];
  const orders = m.which.map(i => sortOne(avatars[i], rows));
  postMessage({ number: m.number, which: m.which, orders }, orders.map(o => o.buffer));
};
