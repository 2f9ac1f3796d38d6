"""The search of docs/theory/indexing.md written out literally: every orientation, every position, no short cuts.

Slow and independent of the kernels; differences of angles wrap at ±180 (docs/theory/geometry.md#wrapping-of-angles).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

D2R = 0.0174532925199433
R2D = 57.2957795130823
Y, Z, OMEGA, RADIUS, ETA, DEVIATION = range(6)


def eta_of(y, z):
    eta = R2D * np.arccos(np.asarray(z) / np.hypot(y, z))
    return np.where(np.asarray(y) > 0, -eta, eta)


def wrap(angle):
    return (np.asarray(angle) + 180.0) % 360.0 - 180.0


def about_z(angle: float, v: NDArray) -> NDArray:
    c, s = math.cos(angle * D2R), math.sin(angle * D2R)
    return np.array([v[0] * c - v[1] * s, v[0] * s + v[1] * c, v[2]])


def rotation(axis: NDArray, angle: float) -> NDArray:
    length = np.linalg.norm(axis)
    if length == 0:
        return np.eye(3)
    x, y, z = axis / length
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle * D2R) * k + (1 - math.cos(angle * D2R)) * k @ k


def scattering(x: float, y: float, z: float, omega: float) -> NDArray:
    k = np.array([x, y, z]) / math.sqrt(x * x + y * y + z * z)
    return about_z(-omega, k - [1, 0, 0])


def omegas(g, theta: float) -> list[float]:
    """docs/theory/geometry.md#legacy-omega-solutions, with the short cut for small y."""
    x, y, z = (float(component) for component in g)
    v = math.sin(D2R * theta) * math.sqrt(x * x + y * y + z * z)
    if abs(y) < 1e-4:
        if x == 0 or abs(v / x) > 1:
            return []
        return [R2D * math.acos(-v / x), -R2D * math.acos(-v / x)]
    a, b, c = 1 + x * x / y**2, 2 * v * x / y**2, v * v / y**2 - 1
    if b * b - 4 * a * c < 0:
        return []
    found = []
    for sign in (1, -1):
        q = (-b + sign * math.sqrt(b * b - 4 * a * c)) / (2 * a)
        if abs(q) <= 1:
            w = math.acos(q)
            miss = [abs(-x * q + y * math.sin(s) - v) for s in (w, -w)]
            found.append(R2D * (w if miss[0] < miss[1] else -w))
    return found


@dataclass
class Reference:
    """The settings by the names of `midas._ext.index.indexer.Indexer`; `spots` has the columns Y ... DEVIATION."""

    spots: NDArray
    spot_ring: NDArray
    settings: dict
    omega_bin: float
    visited: dict[int, int] = field(default_factory=dict, init=False)  # ring points tried, by row

    def __getattr__(self, name: str):
        return self.__dict__["settings"][name]

    def __post_init__(self) -> None:
        self.n_omega = math.ceil(360 / self.omega_bin)
        self.lists: dict[tuple[int, int], list[int]] = {}
        for row, (spot, ring) in enumerate(zip(self.spots, self.spot_ring, strict=True)):
            if ring < 0:
                continue
            m = self.margin_omega + 0.5 * self.orientation_step / abs(math.sin(D2R * spot[ETA]))
            first, last = (self.bin_of(180 + spot[OMEGA] + end) for end in (-m, m))
            for k in sorted({i % self.n_omega for i in range(first, min(last, first + self.n_omega) + 1)}):
                self.lists.setdefault((ring, k), []).append(row)

    def bin_of(self, angle: float) -> int:
        """Bin of an angle counted from -180, going on behind the last one, which is smaller unless all fill 360."""
        if math.isclose(self.n_omega * self.omega_bin, 360):
            return math.floor(angle / self.omega_bin)
        turn = math.floor(angle / 360)
        return turn * self.n_omega + math.floor((angle - 360 * turn) / self.omega_bin)

    def is_inside(self, y: float, z: float, omega: float) -> bool:
        turns = [omega + turn for turn in (-360, 0, 360)]
        return any(
            (b - a >= 360 or any(a <= turned < b for turned in turns)) and c <= y < d and e <= z < f
            for a, b, c, d, e, f in self.limits
        )

    def margin(self, ring: int) -> float:
        return R2D * math.atan(self.margin_eta / self.radii[ring]) + 0.5 * self.orientation_step

    def rows_near(self, ring: int, omega: float) -> list[int]:
        return self.lists.get((ring, math.floor((180 + omega) / self.omega_bin) % self.n_omega), [])

    # docs/theory/indexing.md#allowed-arc
    def arc(self, row: int):
        """End points in the running coordinate, and the function from it to (y, z)."""
        ring = self.spot_ring[row]
        big_r, ys, zs, eta = self.radii[ring], *self.spots[row, [Y, Z, ETA]]
        psi = 180 - abs(eta) if abs(eta) > 90 else 90 - abs(eta)
        h = self.h_beam + 2 * self.r_sample * math.tan(D2R * self.two_theta[ring]) * math.sin(D2R * psi)
        pole = 1 + R2D * math.acos(1 - h / big_r)
        equator = 1 + R2D * math.acos(1 - self.r_sample / big_r)
        ya, yb, za, zb = ys - self.r_sample, ys + self.r_sample, zs - h / 2, zs + h / 2

        def c(t):
            # Where the box is higher than the ring, its top limits nothing.
            return math.sqrt(big_r**2 - t**2) if abs(t) <= big_r else math.nan

        if pole <= eta <= 90 - equator:
            return np.fmax(ya, -c(za)), np.fmin(yb, -c(zb)), lambda t: (t, c(t))
        if 90 + equator <= eta <= 180 - pole:
            return np.fmax(ya, -c(zb)), np.fmin(yb, -c(za)), lambda t: (t, -c(t))
        if -90 + equator <= eta <= -pole:
            return np.fmax(ya, c(zb)), np.fmin(yb, c(za)), lambda t: (t, c(t))
        if -180 + pole <= eta <= -90 - equator:
            return np.fmax(ya, c(za)), np.fmin(yb, c(zb)), lambda t: (t, -c(t))
        if -pole < eta < pole:
            return ya, yb, lambda t: (t, c(t))
        if eta < -180 + pole or eta > 180 - pole:
            return ya, yb, lambda t: (t, -c(t))
        if 90 - equator < eta < 90 + equator:
            return za, zb, lambda t: (-c(t), t)
        return za, zb, lambda t: (c(t), t)

    def full_points(self, row: int) -> list[tuple[float, float]]:
        low, high, point = self.arc(row)
        n = math.ceil(math.dist(point(low), point(high)) / self.position_step)
        n += n % 2 == 0
        if n == 1:
            return [point((low + high) / 2)]
        return [point(low + i * (high - low) / (n - 1)) for i in range(n)]

    def friedel_points(self, row: int) -> list[tuple[float, float]]:
        ring = self.spot_ring[row]
        big_r, (ys, zs, omega) = self.radii[ring], self.spots[row, [Y, Z, OMEGA]]
        low, high, point = self.arc(row)
        ends = sorted(float(eta_of(2 * point(t)[0], -2 * point(t)[1])) for t in (low, high))
        wanted = omega + 180 if omega < 0 else omega - 180
        points = []
        for f, spot in enumerate(self.spots):
            y, z = spot[Y] + ys, spot[Z] - zs
            if self.spot_ring[f] != ring or abs(wrap(spot[OMEGA] - wanted)) > self.margin_omega:
                continue
            eta = float(eta_of(y, z))
            inside = ends[0] <= eta <= ends[1]
            if ends[1] - ends[0] > 180:
                inside = eta <= ends[0] or eta >= ends[1]
            if abs(math.hypot(y, z) - 2 * big_r) <= self.margin_radial and inside:
                e = float(eta_of(ys - (ys - spot[Y]) / 2, zs - (spot[Z] + zs) / 2))
                points.append((-big_r * math.sin(D2R * e), big_r * math.cos(D2R * e)))
        return points

    def mixed_points(self, row: int) -> list[tuple[float, float]]:
        ring = self.spot_ring[row]
        big_r, (omega_s, eta_s) = self.radii[ring], self.spots[row, [OMEGA, ETA]]
        if abs(math.sin(D2R * eta_s)) < math.sin(10 * D2R):
            return []
        arc = self.full_points(row)
        nearest: dict[int, tuple[float, int]] = {}
        for k, (y0, z0) in enumerate(arc):
            g = -scattering(self.lsd, y0, z0, omega_s)
            both = omegas(g, self.two_theta[ring] / 2)
            if len(both) < 2:
                continue
            omega = both[0] if abs(wrap(both[0] - omega_s)) < abs(wrap(both[1] - omega_s)) else both[1]
            eta = float(eta_of(*about_z(omega, g)[1:]))
            y_m, z_m = -big_r * math.sin(D2R * eta), big_r * math.cos(D2R * eta)
            for position in self.line(row, y0, z0):
                if abs(position[2]) > self.h_beam / 2:
                    continue
                y, z = self.displace(y_m, z_m, omega, position)
                e = float(eta_of(y, z))
                for t in self.rows_near(ring, omega):
                    spot = self.spots[t]
                    if (
                        abs(math.hypot(y, z) - big_r - spot[DEVIATION]) < self.margin_radial
                        and abs(wrap(omega - spot[OMEGA])) < self.margin_omega
                        and abs(wrap(e - spot[ETA])) < R2D * math.atan(self.margin_eta / big_r)
                    ):
                        d = (y - spot[Y]) ** 2 + (z - spot[Z]) ** 2
                        if t not in nearest or d < nearest[t][0]:
                            nearest[t] = d, k
        return [arc[k] for k in dict.fromkeys(k for _, k in nearest.values())]

    def points(self, row: int) -> list[tuple[float, float]]:
        if not self.friedel:
            return self.full_points(row)
        return self.friedel_points(row) or self.mixed_points(row)

    # docs/theory/indexing.md#position-line
    def line(self, row: int, y0: float, z0: float) -> NDArray:
        ys, zs, omega = self.spots[row, [Y, Z, OMEGA]]
        u, v, w = np.array([self.lsd, y0, z0]) / math.sqrt(self.lsd**2 + y0**2 + z0**2)
        x, dy, dz = self.on_surface(ys, zs)
        dy, dz = dy - x * v / u, dz - x * w / u
        a, b, e = u * u + v * v, 2 * v * dy, dy**2 - self.r_sample**2
        if b * b - 4 * a * e < 0:
            return np.empty((0, 3))
        reach = (-b + math.sqrt(b * b - 4 * a * e)) / (2 * a) + 20
        n_max = math.trunc(reach * u / math.trunc(self.position_step))
        lengths = self.position_step * np.arange(-n_max, n_max + 1) / u
        lab = [lengths * u, dy + lengths * v, dz + lengths * w]
        c, s = math.cos(D2R * omega), math.sin(D2R * omega)
        return np.column_stack([lab[0] * c + lab[1] * s, lab[1] * c - lab[0] * s, lab[2]])

    # docs/theory/wedge.md#which-stage-does-what
    def is_recorded(self, y: float, z: float, omega: float) -> bool:
        """Whether the region holds a spot of the upright axis, as the leaning one records it."""
        if self.wedge:
            theta, lean = math.atan(math.hypot(y, z) / self.lsd) / 2, D2R * self.wedge
            k = np.array([-math.sin(theta), *(math.cos(theta) / math.hypot(y, z) * np.array([y, z]))])
            gx, gy, gz = about_z(-omega, k)
            reach = (math.sin(theta) - gz * math.sin(lean)) / math.cos(lean)
            if abs(reach) > math.hypot(gx, gy):
                return False
            # -gx cos + gy sin = reach
            middle, turn = math.atan2(gy, -gx), math.acos(reach / math.hypot(gx, gy))
            for omega in (R2D * (middle + turn), R2D * (middle - turn)):
                x, across, along = about_z(omega, [gx, gy, gz])
                if (across > 0) == (y > 0):
                    break
            scale = math.hypot(y, z) / math.cos(theta)
            y, z = scale * across, scale * (along * math.cos(lean) + x * math.sin(lean))
            omega = float(wrap(omega))
        eta = math.copysign(R2D * math.acos(z / math.sqrt(y * y + z * z)), -y)
        beside_poles = abs(eta) >= self.pole_angle and 180 - abs(eta) >= self.pole_angle
        return beside_poles and self.is_inside(y, z, omega)

    # docs/theory/indexing.md#theoretical-spots
    def predict(self, u: NDArray) -> list[tuple[float, float, float, int]]:
        spots = []
        for vector, theta, ring in zip(self.g, self.theta, self.hkl_ring, strict=True):
            g = (u @ vector).tolist()
            for omega in omegas(g, theta):
                y, z = g[0] * math.sin(D2R * omega) + g[1] * math.cos(D2R * omega), g[2]
                eta = math.copysign(R2D * math.acos(z / math.sqrt(y * y + z * z)), -y)
                y, z = -self.radii[ring] * math.sin(D2R * eta), self.radii[ring] * math.cos(D2R * eta)
                if self.is_recorded(y, z, omega):
                    spots.append((y, z, omega, int(ring)))
        return spots

    # docs/theory/indexing.md#displacement; positions (3,) or (n, 3)
    def displace(self, y, z, omega, position):
        c, s = math.cos(D2R * omega), math.sin(D2R * omega)
        a, b, height = np.asarray(position).T
        grain, normal = np.array([a * c - b * s, a * s + b * c, height]).T, self.normal
        beam = np.array([self.lsd, y, z])
        stopped = grain + ((normal[0] * self.lsd - grain @ normal) / (beam @ normal))[..., None] * beam
        return self.lsd * stopped.T[1] / stopped.T[0], self.lsd * stopped.T[2] / stopped.T[0]

    # docs/theory/geometry.md#beams-on-a-tilted-detector
    @cached_property
    def normal(self) -> NDArray:
        tx, ty, tz = self.settings.get("tilts", (0.0, 0.0, 0.0))
        axes = np.eye(3)
        return rotation(axes[0], tx) @ rotation(axes[1], ty) @ rotation(axes[2], tz) @ axes[0]

    def on_surface(self, y: float, z: float) -> NDArray:
        """The place of the detector that the origin sees in line with a point of the plane."""
        sight = np.array([self.lsd, y, z])
        return sight * (self.normal[0] * self.lsd / (sight @ self.normal))

    # docs/theory/indexing.md#matching: for every position the matching row of every theoretical spot, -1 if none
    def match(self, spots, positions: NDArray, radius: float) -> NDArray:
        rows = np.full((len(positions), len(spots)), -1)
        for i, (y0, z0, omega, ring) in enumerate(spots):
            near = [
                t
                for t in self.rows_near(ring, omega)
                if self.excluded[ring] or abs(radius - self.spots[t, RADIUS]) < self.margin_radius
            ]
            if not near:
                continue
            y, z = self.displace(y0, z0, omega, positions)
            distance, eta = np.hypot(y, z) - self.radii[ring], eta_of(y, z)
            for t in sorted(near, key=lambda t: (-abs(wrap(omega - self.spots[t, OMEGA])), -t)):
                hit = np.abs(distance - self.spots[t, DEVIATION]) < self.margin_radial
                hit &= np.abs(wrap(eta - self.spots[t, ETA])) < self.margin(ring)
                rows[hit, i] = t  # the best one comes last
        return rows

    # docs/theory/indexing.md#best-candidate
    def angle(self, spots, position: NDArray, rows: NDArray) -> float:
        total = 0.0
        for (y0, z0, omega, _), t in zip(spots, rows, strict=True):
            if t < 0:
                continue
            y, z = self.displace(y0, z0, omega, position)
            vectors = []
            for py, pz, w in ((y, z, omega), (*self.spots[t, [Y, Z]], self.spots[t, OMEGA])):
                vectors.append(scattering(*(self.on_surface(py, pz) - about_z(w, position)), w))
            cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
            total += R2D * math.acos(max(-1.0, min(1.0, cosine)))
        matched = int((rows >= 0).sum())
        return total / matched if matched else 0.0

    def orientations(self, row: int, normal: NDArray):
        ring = self.spot_ring[row]
        h = self.ring_g[ring]
        cosine = h @ normal / np.linalg.norm(h) / np.linalg.norm(normal)
        first = rotation(np.cross(h, normal), R2D * math.acos(max(-1.0, min(1.0, cosine))))
        for j in range(math.trunc(self.rotation_range[ring] / self.orientation_step)):
            yield rotation(normal, j * self.orientation_step) @ first

    def search(self, row: int):
        """(fraction, angle, orientation, position, predicted, matched rows) of the best candidate, or None."""
        best = None
        points = self.points(row) if self.spot_ring[row] >= 0 else []
        p = 0
        self.visited[row] = 0
        while p < len(points):
            self.visited[row] += 1
            best, step = self.search_point(row, *points[p], best)
            p += step if not self.friedel else 1
        return best

    def search_point(self, row: int, y0: float, z0: float, best):
        line = self.line(row, y0, z0)
        usable = np.flatnonzero(np.abs(line[:, 2]) <= self.h_beam / 2)
        radius = self.spots[row, RADIUS]
        most, of = -1, 0
        for u in self.orientations(row, scattering(self.lsd, y0, z0, self.spots[row, OMEGA])):
            spots = self.predict(u)
            counted = np.array([not self.excluded[ring] for *_, ring in spots], dtype=bool)
            n_counted = int(counted.sum())
            if n_counted == 0 or len(usable) == 0:
                most = max(most, 0) if len(usable) else most
                continue
            rows = self.match(spots, line[usable], radius)
            matches = ((rows >= 0) & counted).sum(axis=1)
            i = 0
            while i < len(usable):
                m = int(matches[i])
                f = m / n_counted
                if m > most:
                    most, of = m, n_counted
                if m >= n_counted * self.min_completeness and (best is None or f >= best[0]):
                    angle = self.angle(spots, line[usable[i]], rows[i])
                    if best is None or f > best[0] or angle < best[1]:
                        best = f, angle, u, line[usable[i]], len(spots), rows[i][rows[i] >= 0]
                i += 1 if f >= 0.5 else 5 - math.floor(f * 8 + 0.5)
        if of == 0:
            return best, 1
        fraction = most / of
        return best, 1 if fraction >= 0.375 else 2 if fraction >= 0.125 else 3
