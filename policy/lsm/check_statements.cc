// Rules of one policy that repeat or exclude each other.
#include <algorithm>

#include "policy/lsm/parse_parts.h"

namespace sluice::policy::lsm {
namespace {

// Whoever does it, and how.
bool BlocksAll(const Statement& statement) {
  return statement.action == Action::kBlock && statement.conditions.empty();
}

std::string SubjectOf(const Source* source) {
  if (source == nullptr) return "";
  return fmt::format(" from {}{}", source->path, source->recursive ? " and below" : "");
}

std::string WhereIs(const Statement& statement) {
  return fmt::format("{} on line {}", statement.field.path(), statement.field.place().line);
}

// Two rules about the same operations. `told`: the later one has its warning or error already.
Status Compare(const Statement& later, const Statement& earlier, bool& told) {
  if (told) return OkStatus();
  if (later.action == earlier.action) {
    if (later.conditions != earlier.conditions) return OkStatus();
    told = true;
    later.field.Warn(fmt::format("says what {} says: remove one", WhereIs(earlier)));
    return OkStatus();
  }
  if (!BlocksAll(earlier) && !BlocksAll(later)) return OkStatus();
  told = true;
  const Statement& block = BlocksAll(earlier) ? earlier : later;
  const Statement& vain = BlocksAll(earlier) ? later : earlier;
  return ErrorUnlessLenient(vain.field, fmt::format("{} can never take effect: {} blocks the same",
                                                    InfoOf(vain.action).name, WhereIs(block)));
}

}  // namespace

Status CheckStatements(const std::vector<Statement>& statements) {
  std::map<std::string, std::vector<const Statement*>> by_subject;
  Status first = OkStatus();
  for (const Statement& statement : statements) {
    std::vector<std::string> subjects;
    for (const Source& source : statement.sources) subjects.push_back(statement.what + SubjectOf(&source));
    if (subjects.empty()) subjects.push_back(statement.what);
    std::sort(subjects.begin(), subjects.end());
    subjects.erase(std::unique(subjects.begin(), subjects.end()), subjects.end());
    bool told = false;
    for (const std::string& subject : subjects) {
      std::vector<const Statement*>& earlier = by_subject[subject];
      for (const Statement* one : earlier) first.Update(Compare(statement, *one, told));
      earlier.push_back(&statement);
    }
  }
  return first;
}

}  // namespace sluice::policy::lsm
