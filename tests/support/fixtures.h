// Metadata images that a real kernel wrote: tests/interop/fixtures/README.md.
#ifndef DMCACHED_TESTS_SUPPORT_FIXTURES_H_
#define DMCACHED_TESTS_SUPPORT_FIXTURES_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dmcached {

// In alphabetical order.
std::vector<std::string> FixtureNames();

// fixture.json.
nlohmann::json FixtureJson(const std::string& name);

// A file of the fixture, for example "expected.xml", as text.
std::string FixtureText(const std::string& name, const std::string& file);

// The metadata device, unpacked by `xz`.  Dies when that fails.
std::vector<std::byte> FixtureImage(const std::string& name);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_FIXTURES_H_
