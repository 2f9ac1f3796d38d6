"""What all seeds of an indexing run share: settings, rings, reflections, observed spots (docs/theory/indexing.md).

Pointers lead into arrays that `midas._ext.index.indexer.Indexer` and `midas._ext.index.table.SpotTable` keep alive.
"""
from midas._ext.physics.region cimport Region
from midas._ext.physics.wedge cimport Instrument


cdef struct IndexRing:
    double ring_radius         # µm
    double two_theta           # degrees, of the ring's representative (last) reflection
    double g[3]                # its vector in the crystal, Å⁻¹
    double rotation_range      # degrees of rotation about a plane normal that give distinct spot patterns
    double eta_margin          # degrees: MarginEta seen from the beam centre plus half an orientation step
    double cos_eta_margin      # -2 where the margin covers every eta
    double bare_eta_margin     # degrees, without the half step
    bint excluded              # not counted in the completeness, free from the grain-radius test


cdef struct IndexSpots:
    Py_ssize_t n
    const double* y_ideal      # µm
    const double* z_ideal
    const double* omega_ideal  # degrees
    const double* eta
    const double* grain_radius  # µm
    const double* deviation    # distance from the beam centre minus the ring radius, µm
    const int* ring            # index into the rings of the run; -1: a ring that is not used
    const double* cos_omega
    const double* sin_omega
    const double* cos_eta
    const double* sin_eta
    # Rows of each (ring, omega bin), ascending eta
    double omega_bin           # degrees
    int n_omega
    const long long* first     # (rings·n_omega + 1)
    const double* listed_eta
    const int* listed_row
    # Rows of each ring, ascending omega
    const long long* ring_first
    const double* ring_omega
    const int* ring_row


cdef struct ReflectionPair:
    double g[3]                # Å⁻¹
    double v                   # |g| sin(theta)
    int ring
    int members                # 2: -g is in the list as well
    int remaining              # spots that this pair and the later ones can give


cdef struct IndexProblem:
    double lsd
    double r_sample
    double h_beam
    double position_step       # µm
    double orientation_step    # degrees
    double margin_omega
    double margin_radius
    double margin_radial
    double min_completeness
    double guard               # µm per µm of ring radius: nearer to a limit than this the exact formulas decide
    bint friedel               # whether Friedel mates restrict the plane normals
    Region region              # where spots are accepted
    Instrument instrument      # without wavelength; which side of the wedge the region knows
    bint boxes_matter          # whether a box cuts a ring
    int n_rings
    const IndexRing* rings
    # Reflections in the order of the list
    int n_hkls
    const double* g            # (n, 3)
    const double* sin_theta
    const int* hkl_ring
    int n_counted_max          # spots on counted rings that an orientation can have at most
    # The same on counted rings, g and -g together, emptiest ring first
    int n_pairs
    const ReflectionPair* pairs
    # Rotations about the plane normal
    int n_rotations
    const double* cos_rotation
    const double* sin_rotation
    IndexSpots spots
