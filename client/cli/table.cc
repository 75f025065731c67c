#include "client/cli/table.h"

#include <algorithm>

namespace dmcached::cli {

void PrintRow(std::ostream& out, const std::vector<Column>& columns, const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    const size_t width = std::max(columns[i].min_width, columns[i].title.size());
    const std::string padding(width > cells[i].size() ? width - cells[i].size() : 0, ' ');
    if (i > 0) line += "  ";
    line += columns[i].right ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

void PrintTitles(std::ostream& out, const std::vector<Column>& columns) {
  std::vector<std::string> titles;
  for (const Column& column : columns) titles.push_back(column.title);
  PrintRow(out, columns, titles);
}

void PrintTable(std::ostream& out, std::vector<Column> columns, const std::vector<std::vector<std::string>>& rows) {
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < columns.size(); ++i) columns[i].min_width = std::max(columns[i].min_width, row[i].size());
  }
  PrintTitles(out, columns);
  for (const std::vector<std::string>& row : rows) PrintRow(out, columns, row);
}

void PrintFields(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [key, value] : fields) width = std::max(width, key.size());
  for (const auto& [key, value] : fields)
    out << key << ':' << std::string(width - key.size() + 2, ' ') << value << '\n';
}

}  // namespace dmcached::cli
