// The skeleton in a pose: axis-angle vectors -> one 3 x 4 matrix [A | b] per joint, from rest to
// posed, rows after rows. The same as toolkit.body.model.joint_transforms.

function rodrigues(x, y, z) {
  const square = x * x + y * y + z * z, angle = Math.sqrt(square);
  const s = angle < 1e-4 ? 1 - square / 6 : Math.sin(angle) / angle;
  const c = angle < 1e-4 ? 0.5 - square / 24 : (1 - Math.cos(angle)) / square;
  return [
    1 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y,
    c * x * y + s * z, 1 - c * (x * x + z * z), c * y * z - s * x,
    c * x * z - s * y, c * y * z + s * x, 1 - c * (x * x + y * y)];
}

// pose: numbers of the first joints, three each (later joints are at rest); transl: three numbers.
function boneMatrices(rig, pose, transl) {
  const num = rig.parents.length, turns = [], places = [], out = new Float32Array(12 * num);
  for (let j = 0; j < num; j++) {
    const parent = rig.parents[j], k = 3 * j, rest = rig.joints.subarray(k, k + 3);
    const local = k + 2 < pose.length ? rodrigues(pose[k], pose[k + 1], pose[k + 2]) : null;
    let R, p;
    if (parent < 0) {
      R = local || rodrigues(0, 0, 0);
      p = [rest[0], rest[1], rest[2]];
    } else {
      const P = turns[parent], above = rig.joints.subarray(3 * parent, 3 * parent + 3);
      const d = [rest[0] - above[0], rest[1] - above[1], rest[2] - above[2]];
      p = [0, 1, 2].map(r => places[parent][r] + P[3 * r] * d[0] + P[3 * r + 1] * d[1] + P[3 * r + 2] * d[2]);
      R = P;
      if (local) {
        R = new Array(9);
        for (let r = 0; r < 3; r++) for (let c = 0; c < 3; c++)
          R[3 * r + c] = P[3 * r] * local[c] + P[3 * r + 1] * local[3 + c] + P[3 * r + 2] * local[6 + c];
      }
    }
    turns.push(R); places.push(p);
    for (let r = 0; r < 3; r++) {
      const moved = p[r] - R[3 * r] * rest[0] - R[3 * r + 1] * rest[1] - R[3 * r + 2] * rest[2];
      out.set([R[3 * r], R[3 * r + 1], R[3 * r + 2], moved + transl[r]], 12 * j + 4 * r);
    }
  }
  return out;
}

// World to camera, rows of a 3 x 4 matrix: x right, y down, z forward. Azimuth 0 sees the face.
function lookAt(view) {
  const az = view.azimuth * Math.PI / 180, el = view.elevation * Math.PI / 180;
  const out = [Math.sin(az) * Math.cos(el), Math.sin(el), Math.cos(az) * Math.cos(el)];
  const forward = out.map(v => -v);
  const right = [Math.cos(az), 0, -Math.sin(az)];
  const down = [
    forward[1] * right[2] - forward[2] * right[1],
    forward[2] * right[0] - forward[0] * right[2],
    forward[0] * right[1] - forward[1] * right[0]];
  const eye = out.map((v, k) => view.target[k] + view.radius * v);
  return [right, down, forward].flatMap(row => [...row, -(row[0] * eye[0] + row[1] * eye[1] + row[2] * eye[2])]);
}
