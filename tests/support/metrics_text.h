// The families in a scrape of /metrics, to compare them with MetricList.
#pragma once

#include <map>
#include <set>
#include <sstream>
#include <string>

namespace sluice::test {

struct ScrapedFamily {
  std::string help;
  std::string type;
  std::set<std::string> labels;  // of all samples together; for a histogram without "le"
};

// By the name of the family.
inline std::map<std::string, ScrapedFamily> FamiliesOf(const std::string& metrics) {
  std::map<std::string, ScrapedFamily> families;
  std::string current;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      const std::size_t end = line.find(' ', 7);
      current = line.substr(7, end - 7);
      (line.starts_with("# HELP") ? families[current].help : families[current].type) = line.substr(end + 1);
      continue;
    }
    // name{label="value",...} value; values may contain any character, escaped
    bool quoted = false;
    std::size_t begin = line.find('{');
    for (std::size_t i = begin; i != std::string::npos && i < line.size() && (quoted || line[i] != '}'); ++i) {
      if (quoted && line[i] == '\\') {
        ++i;
      } else if (line[i] == '"') {
        if (!quoted) families[current].labels.insert(line.substr(begin + 1, i - begin - 2));
        quoted = !quoted;
      } else if (!quoted && line[i] == ',') {
        begin = i;
      }
    }
    families[current].labels.erase("le");
  }
  return families;
}

}  // namespace sluice::test
