// Aligned text for people.
#ifndef DMCACHED_CLIENT_CLI_TABLE_H_
#define DMCACHED_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace dmcached::cli {

struct Column {
  std::string title;
  bool right = false;    // Align to the right: numbers.
  size_t min_width = 0;  // For tables whose rows are not all known at once.
};

// Prints one row, two spaces between columns, none at the end of the line.
void PrintRow(std::ostream& out, const std::vector<Column>& columns, const std::vector<std::string>& cells);
// Prints the titles.
void PrintTitles(std::ostream& out, const std::vector<Column>& columns);
// Widens the columns to fit, then prints titles and rows.
void PrintTable(std::ostream& out, std::vector<Column> columns, const std::vector<std::vector<std::string>>& rows);

// "key:    value" lines, the values under each other.
void PrintFields(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_TABLE_H_
