#include "policy/rules/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/nearest.h"

namespace sluice::policy::rules {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";
constexpr std::string_view kDelimiters = " \t\n\r(),=";

bool IsDelimiter(char c) { return kDelimiters.find(c) != std::string_view::npos; }
bool IsBlankByte(char c) { return kBlanks.find(c) != std::string_view::npos; }

std::string ItemText(const std::string& item) {
  const bool quoted = item.starts_with('"') || item.starts_with('\'');
  return item.find(' ') != std::string::npos && !quoted ? "\"" + item + "\"" : item;
}

class Expander {
 public:
  Expander(const Macros& macros, std::size_t seen_before) : macros_(macros), seen_before_(seen_before) {}

  std::variant<ConditionPtr, ConditionError> Run(const ConditionPtr& condition) {
    ConditionPtr expanded = Expand(condition, 0);
    if (error_) return *error_;
    return expanded;
  }

  const std::set<std::string>& used() const { return used_; }

 private:
  std::nullptr_t Fail(std::string what, const TextPlace& place) {
    if (!error_) error_ = ConditionError{.what = std::move(what), .place = place};
    return nullptr;
  }

  ConditionPtr Expand(const ConditionPtr& node, int depth) {
    if (error_) return nullptr;
    if (depth > kMaxTreeDepth) return Fail("macros make the condition too deep", node->place);
    if (node->kind == Condition::Kind::kCheck) return node;
    if (node->kind == Condition::Kind::kMacro) return ExpandMacro(*node, depth);
    std::vector<ConditionPtr> parts;
    bool changed = false;
    for (const ConditionPtr& part : node->parts) {
      parts.push_back(Expand(part, depth + 1));
      if (error_) return nullptr;
      changed = changed || parts.back() != part;
    }
    if (!changed) return node;
    ConditionPtr joined = JoinParts(node->kind, std::move(parts), node->place);
    if (joined->size > kMaxConditionSize || joined->depth > kMaxTreeDepth) {
      return Fail("macros make the condition too large", node->place);
    }
    return joined;
  }

  ConditionPtr ExpandMacro(const Condition& node, int depth) {
    const auto macro = macros_.find(node.macro);
    if (macro == macros_.end() || macro->second.order >= seen_before_) return Unknown(node);
    if (const auto known = expanded_.find(node.macro); known != expanded_.end()) return known->second;
    if (!open_.insert(node.macro).second) return Fail(fmt::format("macro {} uses itself", node.macro), node.place);
    used_.insert(node.macro);
    ConditionPtr expanded = Expand(macro->second.condition, depth + 1);
    open_.erase(node.macro);
    // The place is in the condition that is expanded, not in the text of the macro.
    if (error_) error_->place = node.place;
    if (expanded != nullptr) expanded_[node.macro] = expanded;
    return expanded;
  }

  ConditionPtr Unknown(const Condition& node) {
    if (macros_.contains(node.macro)) {
      return Fail(fmt::format("macro {} is defined only after this", node.macro), node.place);
    }
    std::vector<std::string> names;
    for (const auto& [name, macro] : macros_) names.push_back(name);
    const std::string near = Nearest(names, node.macro);
    return Fail(
        fmt::format("there is no macro {}{}", node.macro, near.empty() ? "" : fmt::format(": did you mean {}?", near)),
        node.place);
  }

  const Macros& macros_;
  std::size_t seen_before_;
  std::map<std::string, ConditionPtr> expanded_;
  std::set<std::string> open_;
  std::set<std::string> used_;
  std::optional<ConditionError> error_;
};

}  // namespace

bool ReplaceList(std::string& text, std::string_view name, const std::vector<std::string>& items) {
  if (name.empty()) return false;
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + ItemText(item);
  std::string out;
  std::size_t copied = 0;  // of `text`
  for (std::size_t at = text.find(name); at != std::string::npos;) {
    std::size_t end = at + name.size();
    const bool is_word = (at == 0 || IsDelimiter(text[at - 1])) && (end == text.size() || IsDelimiter(text[end]));
    if (!is_word) {
      at = text.find(name, at + 1);
      continue;
    }
    out.append(text, copied, at - copied);
    while (!out.empty() && IsBlankByte(out.back())) out.pop_back();
    while (end < text.size() && IsBlankByte(text[end])) ++end;
    if (list.empty() && out.ends_with(',')) {
      out.pop_back();
    } else if (list.empty() && end < text.size() && text[end] == ',') {
      ++end;
    }
    if (!out.empty()) out += ' ';
    out += list + ' ';
    copied = end;
    if (out.size() > kMaxConditionBytes) break;
    at = text.find(name, end);
  }
  if (copied == 0) return false;
  out.append(text, copied);
  text = std::move(out);
  return true;
}

std::variant<ConditionPtr, ConditionError> ExpandMacros(const ConditionPtr& condition, const Macros& macros,
                                                        std::size_t seen_before, std::vector<std::string>& used) {
  Expander expander(macros, seen_before);
  auto expanded = expander.Run(condition);
  used.assign(expander.used().begin(), expander.used().end());
  return expanded;
}

}  // namespace sluice::policy::rules
