#include <unistd.h>

#include <iostream>

#include "client/cli/app.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  return dmcached::cli::Run({argv + 1, argv + argc}, std::cin, std::cout, std::cerr, ::isatty(STDERR_FILENO) == 1);
}
