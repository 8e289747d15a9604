"""Numbers of the Earth that every module here reckons with; meters, seconds, radians."""

import math

# Equatorial radius and flattening of WGS 84 (NIMA TR8350.2, table 3.1).
EARTH_RADIUS_M = 6_378_137.0
EARTH_FLATTENING = 1.0 / 298.257223563
# Gravitational parameter of the Earth [m^3/s^2] and its second zonal harmonic (EGM96).
EARTH_MU = 398_600.4418e9
EARTH_J2 = 1.08262668e-3
# Turn of the Earth against the stars [rad/s].
EARTH_RATE = 7.292115e-5
LIGHT_M_PER_S = 299_792_458.0
# Exact since 2019 [J/K].
BOLTZMANN = 1.380649e-23
TURN = 2.0 * math.pi
