// Rows of text as aligned columns, each as wide as its widest cell. A value; not thread-safe.
//   Table table({{"NAME"}, {"PACKETS", Align::kRight}});
//   table.Add({"shop/db", "12"});
//   table.ToString();
#pragma once

#include <string>
#include <vector>

namespace sluice {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell for each column; missing cells are empty, extra ones are ignored.
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The titles and the rows, each with a line end and no trailing blanks.
  std::string ToString() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sluice
