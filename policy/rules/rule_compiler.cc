#include "policy/rules/rule_compiler.h"

#include <fmt/format.h>

#include <limits>
#include <map>
#include <set>

#include "policy/rules/event_sets.h"
#include "policy/rules/exceptions.h"
#include "policy/rules/expand.h"

namespace sluice::policy::rules {
namespace {

constexpr std::size_t kAllMacros = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMaxListItems = 200'000;
constexpr std::string_view kContainerInfo = "%container.info";

struct ExpandedList {
  std::string name;
  std::vector<std::string> items;  // without names of lists
};

class Compiler {
 public:
  Compiler(const Collector& collector, LoadMessages& messages) : collector_(collector), messages_(messages) {}

  std::vector<Rule> Run() {
    ExpandLists();
    ParseMacros();
    CheckMacros();
    std::vector<Rule> rules;
    for (const auto& collected : collector_.rules().all()) {
      if (messages_.failed()) return {};
      if (!IsKnownSource(collected.item.source)) continue;
      if (std::optional<Rule> rule = CompileRule(collected.item)) rules.push_back(*std::move(rule));
    }
    if (!messages_.failed()) WarnUnused();
    return rules;
  }

 private:
  // Items that are names of lists from before the last change of this one are replaced by their items.
  void ExpandLists() {
    std::map<std::string, std::size_t> orders;
    for (const auto& collected : collector_.lists().all()) orders[collected.item.name] = collected.order;
    for (const auto& collected : collector_.lists().all()) {
      ExpandedList list{.name = collected.item.name, .items = {}};
      for (const std::string& item : collected.item.items) {
        const auto order = orders.find(item);
        if (order == orders.end() || order->second >= collected.last_order || item == collected.item.name) {
          list.items.push_back(item);
          continue;
        }
        used_lists_.insert(item);
        const auto& inner = ItemsOf(item);
        list.items.insert(list.items.end(), inner.begin(), inner.end());
        if (list.items.size() > kMaxListItems) {
          return messages_.Fail(LoadError::kValidate, fmt::format("the list has more than {} items", kMaxListItems),
                                collected.item.context);
        }
      }
      lists_.push_back(std::move(list));
    }
  }

  // Of a list that is expanded already, or else as it is written.
  const std::vector<std::string>& ItemsOf(const std::string& name) const {
    for (const ExpandedList& list : lists_) {
      if (list.name == name) return list.items;
    }
    for (const auto& collected : collector_.lists().all()) {
      if (collected.item.name == name) return collected.item.items;
    }
    static const std::vector<std::string> none;
    return none;
  }

  std::string WithLists(std::string text) {
    for (const ExpandedList& list : lists_) {
      if (ReplaceList(text, list.name, list.items)) used_lists_.insert(list.name);
    }
    return text;
  }

  void FailCondition(LoadError code, const ConditionError& error, const std::string& text, const Context& context) {
    const bool elsewhere = !error.origin.empty();
    const std::string at = elsewhere ? fmt::format("in macro {}", error.origin)
                                     : fmt::format("at {}:{} of the condition", error.place.line, error.place.column);
    messages_.Fail(code, fmt::format("{}: {}", at, error.what), InCondition(context),
                   SnippetOf(elsewhere ? texts_[error.origin] : text, error.place.offset));
  }

  static Context InCondition(const Context& context) {
    return context.Inside("condition expression", "", context.place());
  }

  void ParseMacros() {
    for (const auto& collected : collector_.macros().all()) {
      if (messages_.failed()) return;
      const MacroItem& item = collected.item;
      std::string& text = texts_[item.name] = WithLists(item.condition);
      auto parsed = ParseCondition(text, item.name);
      if (auto* error = std::get_if<ConditionError>(&parsed)) {
        return FailCondition(LoadError::kCompileCondition, *error, text, item.condition_context);
      }
      macros_[item.name] = {
          .condition = std::get<ConditionPtr>(parsed), .order = collected.order, .last_order = collected.last_order};
    }
  }

  // A macro that no rule uses must be right too.
  void CheckMacros() {
    for (const auto& collected : collector_.macros().all()) {
      if (messages_.failed()) return;
      const MacroItem& item = collected.item;
      std::vector<std::string> used;
      auto expanded = ExpandMacros(macros_[item.name].condition, macros_, collected.last_order, used);
      if (auto* error = std::get_if<ConditionError>(&expanded)) {
        return FailCondition(LoadError::kValidate, *error, texts_[item.name], item.condition_context);
      }
      used_macros_.insert(used.begin(), used.end());
    }
  }

  std::optional<Rule> CompileRule(const RuleItem& item) {
    Rule rule;
    rule.name = item.name;
    rule.description = item.description;
    rule.source = item.source;
    rule.priority = item.priority;
    rule.tags.assign(item.tags.begin(), item.tags.end());
    rule.enabled = item.enabled;
    rule.capture = item.capture;
    rule.capture_ms = item.capture_ms;
    rule.file = item.context.file;
    rule.place = item.context.place();
    rule.condition_text = WithLists(WithExceptions(item.condition, item.exceptions, messages_));
    if (messages_.failed() || !CompileOutput(item, rule) || !CompileCondition(item, rule)) return std::nullopt;
    return rule;
  }

  // False: there is an error, or the rule is left out.
  bool CompileOutput(const RuleItem& item, Rule& rule) {
    rule.output_text = item.output;
    if (const std::size_t at = rule.output_text.find(kContainerInfo); at != std::string::npos) {
      messages_.Warn(LoadWarning::kDeprecatedItem, "%container.info in the output shows nothing", item.output_context);
      for (std::size_t i = at; i != std::string::npos; i = rule.output_text.find(kContainerInfo, i)) {
        rule.output_text.erase(i, kContainerInfo.size());
      }
    }
    auto format = OutputFormat::Parse(rule.output_text);
    if (const auto* error = std::get_if<ConditionError>(&format)) {
      if (error->unknown_name && item.skip_if_unknown) {
        messages_.Warn(LoadWarning::kUnknownFilter, error->what, item.output_context);
      } else {
        messages_.Fail(LoadError::kCompileOutput, error->what, item.output_context,
                       SnippetOf(rule.output_text, error->place.offset));
      }
      return false;
    }
    rule.output = std::get<OutputFormat>(std::move(format));
    if (rule.output.UsesDeprecatedField()) {
      messages_.Warn(LoadWarning::kDeprecatedItem, "the output has a field that Falco has given up",
                     item.output_context);
    }
    return true;
  }

  bool CompileCondition(const RuleItem& item, Rule& rule) {
    auto parsed = ParseCondition(rule.condition_text);
    if (const auto* error = std::get_if<ConditionError>(&parsed)) {
      FailCondition(LoadError::kCompileCondition, *error, rule.condition_text, item.condition_context);
      return false;
    }
    std::vector<std::string> used;
    auto expanded = ExpandMacros(std::get<ConditionPtr>(parsed), macros_, kAllMacros, used);
    if (const auto* error = std::get_if<ConditionError>(&expanded)) {
      FailCondition(LoadError::kValidate, *error, rule.condition_text, item.condition_context);
      return false;
    }
    used_macros_.insert(used.begin(), used.end());
    BindResult bound = Bind(std::get<ConditionPtr>(expanded));
    if (bound.error) return FailBinding(item, *bound.error, rule.condition_text);
    WarnOfCondition(item, bound.warnings, rule.condition_text);
    rule.condition = std::move(bound.condition);
    rule.event_types = EventTypesOf(*rule.condition);
    if (item.warn_event_types && rule.event_types.count() > kManyEventTypes) {
      messages_.Warn(LoadWarning::kNoEventType,
                     fmt::format("the rule is for {} event types: evt.type in its condition would make it faster",
                                 rule.event_types.count()),
                     item.context);
    }
    return true;
  }

  bool FailBinding(const RuleItem& item, const ConditionError& error, const std::string& text) {
    if (error.unknown_name && item.skip_if_unknown) {
      messages_.Warn(LoadWarning::kUnknownFilter, error.what, InCondition(item.condition_context));
    } else {
      FailCondition(LoadError::kCompileCondition, error, text, item.condition_context);
    }
    return false;
  }

  void WarnOfCondition(const RuleItem& item, const std::vector<ConditionWarning>& warnings, const std::string& text) {
    for (const ConditionWarning& warning : warnings) {
      const std::string& in = warning.origin.empty() ? text : texts_[warning.origin];
      messages_.Warn(warning.deprecated ? LoadWarning::kDeprecatedItem : LoadWarning::kCompileCondition, warning.what,
                     InCondition(item.condition_context), SnippetOf(in, warning.place.offset));
    }
  }

  void WarnUnused() {
    for (const auto& collected : collector_.macros().all()) {
      if (used_macros_.contains(collected.item.name)) continue;
      messages_.Warn(LoadWarning::kUnusedMacro, "no rule or macro uses it", collected.item.context);
    }
    for (const auto& collected : collector_.lists().all()) {
      if (used_lists_.contains(collected.item.name)) continue;
      messages_.Warn(LoadWarning::kUnusedList, "no rule, macro or list uses it", collected.item.context);
    }
  }

  const Collector& collector_;
  LoadMessages& messages_;
  std::vector<ExpandedList> lists_;
  Macros macros_;
  std::map<std::string, std::string> texts_;  // of macros, with their lists
  std::set<std::string> used_lists_;
  std::set<std::string> used_macros_;
};

}  // namespace

std::vector<Rule> CompileRules(const Collector& collector, LoadMessages& messages) {
  return Compiler(collector, messages).Run();
}

}  // namespace sluice::policy::rules
