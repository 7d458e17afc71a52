// Drawing with WebGL2, in two passes per frame. The first poses: one texel per Gaussian blends the
// joints' matrices to [A | b], finds R, the rotation nearest to A, and writes R and the translation
// t = (A - R) a + b of its anchor a. The second draws one square point per Gaussian, from far to
// near. Points need one vertex where quads need four, and drivers without a graphics card draw
// instances of a quad one by one.

const WIDTH = 256; // of all textures with one or more texels per Gaussian

const POSE_SHADER = `#version 300 es
precision highp float; precision highp int;
uniform sampler2D rig, bones;
layout(location = 0) out vec4 turn; layout(location = 1) out vec4 move;
vec4 texel(sampler2D t, int i) { return texelFetch(t, ivec2(i % ${WIDTH}, i / ${WIDTH}), 0); }
void main() {
  int n = 5 * (int(gl_FragCoord.y) * ${WIDTH} + int(gl_FragCoord.x));
  vec3 anchor = texel(rig, n).xyz;
  vec4 id[2] = vec4[2](texel(rig, n + 1), texel(rig, n + 2));
  vec4 weight[2] = vec4[2](texel(rig, n + 3), texel(rig, n + 4));
  vec4 x = vec4(0), y = vec4(0), z = vec4(0);
  for (int k = 0; k < 8; k++) {
    float w = weight[k / 4][k % 4];
    if (w == 0.0) continue;
    int j = int(id[k / 4][k % 4]);
    x += w * texelFetch(bones, ivec2(0, j), 0);
    y += w * texelFetch(bones, ivec2(1, j), 0);
    z += w * texelFetch(bones, ivec2(2, j), 0);
  }
  mat3 A = transpose(mat3(x.xyz, y.xyz, z.xyz)), R = A;
  for (int k = 0; k < 6; k++) R = 0.5 * (R + transpose(inverse(R))); // Higham 1986
  move = vec4((A - R) * anchor + vec3(x.w, y.w, z.w), 0);
  // Shepperd 1978: the form with the largest component; R[c][r] is row r of column c
  float a = R[0][0], b = R[1][1], c = R[2][2];
  vec4 s = 1.0 + vec4(a + b + c, a - b - c, b - a - c, c - a - b);
  vec4 q = vec4(s.x, R[1][2] - R[2][1], R[2][0] - R[0][2], R[0][1] - R[1][0]);
  float best = s.x;
  if (s.y > best) { best = s.y; q = vec4(R[1][2] - R[2][1], s.y, R[1][0] + R[0][1], R[0][2] + R[2][0]); }
  if (s.z > best) { best = s.z; q = vec4(R[2][0] - R[0][2], R[1][0] + R[0][1], s.z, R[2][1] + R[1][2]); }
  if (s.w > best) { q = vec4(R[0][1] - R[1][0], R[0][2] + R[2][0], R[2][1] + R[1][2], s.w); }
  turn = normalize(q);
}`;

const SPLAT_VERTEX = `#version 300 es
precision highp float; precision highp int;
uniform sampler2D splats, turns, moves; uniform highp usampler2D order;
uniform vec4 right, down, forward; // rows of world to camera
uniform vec2 size; uniform float focal, largest; // the driver's largest point, pixels
flat out vec4 color; flat out vec4 shape;
vec4 texel(sampler2D t, int i) { return texelFetch(t, ivec2(i % ${WIDTH}, i / ${WIDTH}), 0); }
mat3 matrix(vec4 q) { // (w, x, y, z)
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return transpose(mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
    2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
    2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)));
}
void main() {
  int slot = gl_VertexID;
  int i = int(texelFetch(order, ivec2(slot % ${WIDTH}, slot / ${WIDTH}), 0).x), n = 4 * i;
  mat3 R = matrix(texel(turns, i));
  vec4 mean = vec4(R * texel(splats, n).xyz + texel(moves, i).xyz, 1);
  vec3 p = vec3(dot(right, mean), dot(down, mean), dot(forward, mean));
  gl_Position = vec4(2, 2, 2, 1);
  if (p.z < 0.01) return;
  mat3 M = R * matrix(texel(splats, n + 1));
  vec3 s = texel(splats, n + 2).xyz;
  M = mat3(M[0] * s.x, M[1] * s.y, M[2] * s.z);
  vec3 u = focal / p.z * (right.xyz - p.x / p.z * forward.xyz);
  vec3 v = focal / p.z * (down.xyz - p.y / p.z * forward.xyz);
  vec3 a = u * M, b = v * M; // rows of the 2 x 3 matrix P; the covariance is P P^T + 0.3
  float blur = 0.3, xx = dot(a, a) + blur, xy = dot(a, b), yy = dot(b, b) + blur;
  vec3 area = cross(a, b);
  float det0 = dot(area, area), det = det0 + blur * (dot(a, a) + dot(b, b)) + blur * blur;
  vec4 c = texel(splats, n + 3);
  c.a *= sqrt(max(det0 / det, 0.0)); // Mip-Splatting
  if (c.a < 1.0 / 255.0) return;
  float reach = min(3.33, sqrt(2.0 * log(c.a * 255.0))); // where alpha falls to 1/255
  float side = min(2.0 * reach * sqrt(max(xx, yy)), largest);
  gl_PointSize = side;
  shape = side * side * vec4(-0.5 * yy, xy, -0.5 * xx, 0) / det;
  vec2 pixel = 2.0 * focal * p.xy / p.z / size;
  gl_Position = vec4(pixel.x, -pixel.y, 0, 1);
  color = c;
}`;

const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 color; flat in vec4 shape;
out vec4 result;
void main() {
  vec2 d = gl_PointCoord - 0.5;
  float alpha = min(0.999, color.a * exp(d.x * (shape.x * d.x + shape.y * d.y) + shape.z * d.y * d.y));
  if (alpha < 1.0 / 255.0) discard;
  result = vec4(color.rgb * alpha, alpha);
}`;

const FLOOR_VERTEX = `#version 300 es
in vec2 corner; out vec2 ndc;
void main() { ndc = corner; gl_Position = vec4(corner, 0, 1); }`;

const FLOOR_FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 right, down, forward; uniform vec2 size; uniform float focal, level;
in vec2 ndc; out vec4 result;
void main() {
  vec2 pixel = 0.5 * size * vec2(ndc.x, -ndc.y) / focal;
  vec3 ray = pixel.x * right.xyz + pixel.y * down.xyz + forward.xyz;
  vec3 eye = -(right.w * right.xyz + down.w * down.xyz + forward.w * forward.xyz);
  float far = (level - eye.y) / ray.y;
  if (ray.y > -1e-3 || far < 0.0) { result = vec4(1); return; }
  vec2 spot = (eye + far * ray).xz;
  vec2 away = abs(fract(spot / 0.5 + 0.5) - 0.5) * 0.5, wide = max(vec2(0.012), fwidth(spot));
  float line = max(0.012 / wide.x * clamp(1.5 - away.x / wide.x, 0.0, 1.0), 0.012 / wide.y * clamp(1.5 - away.y / wide.y, 0.0, 1.0));
  float near = clamp(1.6 - distance(spot, eye.xz) / 8.0, 0.0, 1.0);
  vec3 tile = mix(vec3(0.955, 0.95, 0.935), vec3(0.80, 0.80, 0.785), min(line, 1.0));
  result = vec4(mix(vec3(1), tile, near), 1);
}`;

class Gpu {
  constructor(canvas, rig, avatars) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("This page needs WebGL2, which this browser does not offer.");
    if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("This graphics driver cannot draw into textures of floats.");
    this.gl = gl; this.count = rig.anchors.length / 3;
    this.rows = Math.ceil(this.count / WIDTH);
    this.pose = this.program(FLOOR_VERTEX.replace("out vec2 ndc;", "").replace("ndc = corner;", ""), POSE_SHADER);
    this.splat = this.program(SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.floor = this.program(FLOOR_VERTEX, FLOOR_FRAGMENT);
    this.rig = this.texture(this.packRig(rig), WIDTH);
    this.bones = this.texture(null, 3, rig.parents.length);
    this.turns = this.texture(null, WIDTH, this.rows);
    this.moves = this.texture(null, WIDTH, this.rows);
    this.target = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    [this.turns, this.moves].forEach((t, k) =>
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + k, gl.TEXTURE_2D, t, 0));
    gl.drawBuffers([gl.COLOR_ATTACHMENT0, gl.COLOR_ATTACHMENT1]);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.square = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.square);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    this.avatars = avatars.map(a => ({ texture: this.texture(a.packed, WIDTH), order: this.orderTexture(), sorted: false }));
    this.largest = gl.getParameter(gl.ALIASED_POINT_SIZE_RANGE)[1];
  }

  packRig(rig) {
    const out = new Float32Array(20 * this.count);
    for (let i = 0; i < this.count; i++) {
      out.set(rig.anchors.subarray(3 * i, 3 * i + 3), 20 * i);
      out.set(rig.ids.subarray(8 * i, 8 * i + 8), 20 * i + 4);
      out.set(rig.weights.subarray(8 * i, 8 * i + 8), 20 * i + 12);
    }
    return out;
  }

  program(vertex, fragment) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text); gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "corner");
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  // floats, four per texel; padded to whole rows
  texture(data, width, rows = Math.ceil(data.length / (4 * width))) {
    const gl = this.gl, texture = gl.createTexture();
    let whole = data;
    if (data && data.length < 4 * width * rows) { whole = new Float32Array(4 * width * rows); whole.set(data); }
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, width, rows, 0, gl.RGBA, gl.FLOAT, whole);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return texture;
  }

  use(program, textures, floats) {
    const gl = this.gl;
    gl.useProgram(program);
    Object.entries(textures).forEach(([name, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit); gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
    });
    for (const [name, value] of Object.entries(floats))
      gl["uniform" + (value.length || 1) + "fv"](gl.getUniformLocation(program, name), value.length ? value : [value]);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.square);
    gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  }

  setPose(bones) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0); gl.bindTexture(gl.TEXTURE_2D, this.bones);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 3, bones.length / 12, gl.RGBA, gl.FLOAT, bones);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.viewport(0, 0, WIDTH, this.rows); gl.disable(gl.BLEND); gl.disable(gl.SCISSOR_TEST);
    this.use(this.pose, { rig: this.rig, bones: this.bones }, {});
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  orderTexture() {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32UI, WIDTH, this.rows);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    return texture;
  }

  // order: WIDTH * rows indices, of which the first `count` matter
  setOrder(which, order) {
    const gl = this.gl, avatar = this.avatars[which];
    gl.activeTexture(gl.TEXTURE0); gl.bindTexture(gl.TEXTURE_2D, avatar.order);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WIDTH, this.rows, gl.RED_INTEGER, gl.UNSIGNED_INT, order);
    avatar.sorted = true;
  }

  // parts: [{which, from, to}] with from and to as shares of the width; level: floor or null
  draw(camera, parts, level) {
    const gl = this.gl, width = gl.drawingBufferWidth, height = gl.drawingBufferHeight;
    const view = { right: camera.rows.slice(0, 4), down: camera.rows.slice(4, 8), forward: camera.rows.slice(8, 12) };
    const floats = { ...view, size: [width, height], focal: 0.5 * height / Math.tan(camera.fov * Math.PI / 360) };
    gl.viewport(0, 0, width, height); gl.disable(gl.BLEND); gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(1, 1, 1, 1); gl.clear(gl.COLOR_BUFFER_BIT);
    if (level !== null) {
      this.use(this.floor, {}, { ...floats, level });
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); gl.enable(gl.SCISSOR_TEST);
    for (const part of parts) {
      const avatar = this.avatars[part.which], from = Math.round(part.from * width), to = Math.round(part.to * width);
      if (!avatar.sorted || to <= from) continue;
      gl.scissor(from, 0, to - from, height);
      this.use(this.splat, { splats: avatar.texture, turns: this.turns, moves: this.moves, order: avatar.order }, { ...floats, largest: this.largest });
      gl.disableVertexAttribArray(0);
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
    gl.disable(gl.SCISSOR_TEST);
  }
}
