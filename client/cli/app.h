// dmcachectl as a function, so that tests can run it.
#ifndef DMCACHED_CLIENT_CLI_APP_H_
#define DMCACHED_CLIENT_CLI_APP_H_

#include <istream>
#include <ostream>
#include <string>
#include <vector>

namespace dmcached::cli {

// Runs one command line (without the program's name) and returns its exit code: 0 done, 1 failed, 2 usage, 3 no answer.
// `err_is_terminal`: long work draws a bar there.
int Run(const std::vector<std::string>& arguments, std::istream& in, std::ostream& out, std::ostream& err,
        bool err_is_terminal = false);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_APP_H_
