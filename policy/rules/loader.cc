#include "policy/rules/loader.h"

#include "policy/rules/reader.h"
#include "policy/rules/rule_compiler.h"

namespace sluice::policy::rules {

LoadResult Loader::Load(const std::string& file, std::string_view text) {
  LoadResult result{.file = file, .errors = {}, .warnings = {}};
  LoadMessages messages(result, text);
  ReadRulesFile(file, text, collector_, messages);
  if (messages.failed()) return result;
  std::vector<Rule> rules = CompileRules(collector_, messages);
  if (!messages.failed()) rules_ = std::move(rules);
  return result;
}

}  // namespace sluice::policy::rules
