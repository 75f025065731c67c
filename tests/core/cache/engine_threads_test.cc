#include "tests/core/cache/engine_fixture.h"
