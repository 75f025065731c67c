#include <iostream>

#include "client/cli/app.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  return dmcached::cli::Run({argv + 1, argv + argc}, std::cin, std::cout, std::cerr);
}
