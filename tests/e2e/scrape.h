// What /metrics says.
#ifndef DMCACHED_TESTS_E2E_SCRAPE_H_
#define DMCACHED_TESTS_E2E_SCRAPE_H_

#include <map>
#include <string>

namespace dmcached {

// Series, as they are written, to values.
class Series : public std::map<std::string, double> {
 public:
  // Of a series with the one label cache="c1"; a failure, and -1, if there is none.
  double Of(const std::string& metric) const;
  // Of any series.
  double At(const std::string& series) const;
};

// `address`: 127.0.0.1:PORT.
Series Scrape(const std::string& address);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_SCRAPE_H_
