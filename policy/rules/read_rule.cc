#include "policy/rules/read_rule.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

const std::set<std::string_view> kAppendable = {"condition", "output", "desc", "tags", "exceptions"};
const std::set<std::string_view> kReplaceable = {"condition",
                                                 "output",
                                                 "desc",
                                                 "priority",
                                                 "capture",
                                                 "capture_duration",
                                                 "tags",
                                                 "exceptions",
                                                 "enabled",
                                                 "warn_evttypes",
                                                 "skip-if-unknown-filter"};
const std::set<std::string_view> kKeys = {"rule",
                                          "condition",
                                          "output",
                                          "desc",
                                          "priority",
                                          "source",
                                          "enabled",
                                          "capture",
                                          "capture_duration",
                                          "warn_evttypes",
                                          "skip-if-unknown-filter",
                                          "tags",
                                          "exceptions",
                                          "override",
                                          "append"};

std::string Trimmed(const std::string& text) {
  constexpr std::string_view kBlanks = " \t\n\r\v\f";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

Priority ReadPriority(const ItemReader& item) {
  const std::string text = item.Text("priority");
  const auto priority = ParsePriority(text);
  if (priority || item.messages().failed()) return priority.value_or(Priority::kDebug);
  item.messages().Fail(LoadError::kYamlValidate,
                       fmt::format("{} is no priority: Emergency, Alert, Critical, Error, Warning, Notice, "
                                   "Informational and Debug are",
                                   PrintableWord(text)),
                       item.context().Inside("rule priority", "", item.ValueContext("priority").place()));
  return Priority::kDebug;
}

std::set<std::string> ReadTags(const ItemReader& item) {
  const std::vector<std::string> tags = item.Texts("tags");
  return {tags.begin(), tags.end()};
}

// "source: null" is as none.
std::string ReadSource(const ItemReader& item) {
  const YamlNode* const source = item.Find("source");
  if (source == nullptr || source->type == YamlNode::Type::kNull) return "";
  if (source->type == YamlNode::Type::kScalar && source->scalar.empty()) return "";
  return item.Text("source");
}

Context ContextOf(const ItemReader& item, std::string_view type, std::string_view key) {
  return item.context().Inside(type, "", item.ValueContext(key).place());
}

// A key that is read if the item has it.
template <typename T, typename Read>
void ReadIfThere(const ItemReader& item, std::string_view key, T& value, Read read) {
  if (item.Has(key)) value = read(key);
}

// A whole rule.
void Define(const ItemReader& item, RuleItem rule, Collector& collector) {
  const auto flag = [&](std::string_view key) { return item.Bool(key); };
  rule.condition = item.Text("condition");
  rule.condition_context = ContextOf(item, "rule condition", "condition");
  rule.output = Trimmed(item.Text("output"));
  rule.output_context = ContextOf(item, "rule output", "output");
  rule.description = item.Text("desc");
  rule.priority = ReadPriority(item);
  ReadIfThere(item, "source", rule.source, [&](std::string_view key) { return item.Text(key); });
  ReadIfThere(item, "enabled", rule.enabled, flag);
  ReadIfThere(item, "capture", rule.capture, flag);
  ReadIfThere(item, "capture_duration", rule.capture_ms, [&](std::string_view key) { return item.Number(key); });
  ReadIfThere(item, "warn_evttypes", rule.warn_event_types, flag);
  ReadIfThere(item, "skip-if-unknown-filter", rule.skip_if_unknown, flag);
  ReadIfThere(item, "tags", rule.tags, [&](std::string_view) { return ReadTags(item); });
  rule.exceptions = ReadExceptions(item, false);
  if (!item.messages().failed()) collector.Define(std::move(rule), item.messages());
}

// One kind of change, by the keys of `keys`. Takes those out of `unexplained`.
class UpdateReader {
 public:
  UpdateReader(const ItemReader& item, const std::set<std::string>& keys, std::set<std::string>& unexplained,
               bool append)
      : item_(item), keys_(keys), unexplained_(unexplained), append_(append) {}

  RuleUpdate Read(const std::string& name, const std::string& source) {
    RuleUpdate update;
    update.name = name;
    update.context = item_.context();
    if (Takes("condition")) {
      update.source = source;
      update.condition = item_.Text("condition");
      update.condition_context = ContextOf(item_, "rule condition", "condition");
    }
    if (Takes("exceptions")) update.exceptions = ReadExceptions(item_, append_);
    if (Takes("output")) {
      update.output = item_.Text("output");
      update.output_context = ContextOf(item_, "rule output", "output");
    }
    if (Takes("desc")) update.description = item_.Text("desc");
    if (Takes("tags")) update.tags = ReadTags(item_);
    if (Takes("priority")) update.priority = ReadPriority(item_);
    if (Takes("capture")) update.capture = item_.Bool("capture");
    if (Takes("capture_duration")) update.capture_ms = item_.Number("capture_duration");
    if (Takes("enabled")) update.enabled = item_.Bool("enabled");
    if (Takes("warn_evttypes")) update.warn_event_types = item_.Bool("warn_evttypes");
    if (Takes("skip-if-unknown-filter")) update.skip_if_unknown = item_.Bool("skip-if-unknown-filter");
    return update;
  }

 private:
  bool Takes(const std::string& key) {
    if (!keys_.contains(key)) return false;
    if (unexplained_.erase(key) == 0) {
      item_.Fail(fmt::format("override says to {} {}, which is not there", append_ ? "append to" : "replace", key));
      return false;
    }
    return true;
  }

  const ItemReader& item_;
  const std::set<std::string>& keys_;
  std::set<std::string>& unexplained_;
  bool append_;
};

void Override(const ItemReader& item, const std::string& name, const Overrides& overrides, Collector& collector) {
  LoadMessages& messages = item.messages();
  const std::string source = ReadSource(item);
  std::set<std::string> unexplained;
  for (const YamlNode::Entry& entry : item.node().entries) {
    if (kAppendable.contains(entry.key) || kReplaceable.contains(entry.key)) unexplained.insert(entry.key);
  }
  if (!overrides.appended.empty()) {
    const RuleUpdate update = UpdateReader(item, overrides.appended, unexplained, true).Read(name, source);
    if (!messages.failed()) collector.Append(update, messages);
  }
  if (!overrides.replaced.empty() && !messages.failed()) {
    const RuleUpdate update = UpdateReader(item, overrides.replaced, unexplained, false).Read(name, source);
    if (!messages.failed()) collector.Replace(update, messages);
  }
  for (const std::string& key : unexplained) {
    messages.Fail(LoadError::kYamlValidate, fmt::format("the key {} has no entry in override", key),
                  item.context().Inside("overrides", key, item.ValueContext(key).place()));
  }
}

// "append: true": the condition and the exceptions.
void AppendAll(const ItemReader& item, const std::string& name, Collector& collector) {
  RuleUpdate update;
  update.name = name;
  update.source = ReadSource(item);
  update.context = item.context();
  if (item.Has("condition")) {
    update.condition = item.Text("condition");
    update.condition_context = ContextOf(item, "rule condition", "condition");
  }
  if (item.Has("exceptions")) update.exceptions = ReadExceptions(item, true);
  if (!item.messages().failed()) collector.Append(update, item.messages());
}

bool HasRuleKeys(const ItemReader& item) {
  return item.Has("condition") || item.Has("output") || item.Has("desc") || item.Has("priority");
}

}  // namespace

Overrides ReadOverrides(const ItemReader& item, const std::set<std::string_view>& appendable,
                        const std::set<std::string_view>& replaceable) {
  Overrides overrides;
  const YamlNode* const node = item.Find("override");
  if (node == nullptr) return overrides;
  const Context context = item.context().Inside("overrides", "", node->place);
  if (node->type != YamlNode::Type::kMap) {
    item.messages().Fail(LoadError::kYamlValidate, "override is a map of keys, each append or replace", context);
    return overrides;
  }
  for (const YamlNode::Entry& entry : node->entries) {
    const bool append = entry.value->scalar == "append";
    const bool replace = entry.value->scalar == "replace";
    std::string problem;
    if (!append && !replace) {
      problem = fmt::format("override of {} is append or replace, not {}", PrintableWord(entry.key),
                            PrintableWord(entry.value->scalar));
    } else if (!(append ? appendable : replaceable).contains(entry.key)) {
      problem = fmt::format("{} cannot be {}", PrintableWord(entry.key), append ? "appended to" : "replaced");
    }
    if (!problem.empty()) {
      item.messages().Fail(LoadError::kYamlValidate, problem, context.Inside("overrides", entry.key, entry.place));
      return overrides;
    }
    (append ? overrides.appended : overrides.replaced).insert(entry.key);
  }
  return overrides;
}

bool ReadAppend(const ItemReader& item, const Overrides& overrides) {
  if (!item.Has("append") || !item.Bool("append")) return false;
  item.messages().Warn(LoadWarning::kDeprecatedItem, "append: true is given up: write it as an entry of override",
                       item.context());
  if (!overrides.empty()) item.Fail("append: true and override cannot be used together");
  return true;
}

void ReadRule(const YamlNode& node, const Context& parent, Collector& collector, LoadMessages& messages) {
  const std::string name = ItemReader(messages, node, parent.Inside("rule", "", node.place)).Text("rule");
  const ItemReader item(messages, node, parent.Inside("rule", name, node.place));
  const Overrides overrides = ReadOverrides(item, kAppendable, kReplaceable);
  const bool append = ReadAppend(item, overrides);
  if (messages.failed()) return;
  if (!overrides.empty()) {
    Override(item, name, overrides, collector);
  } else if (append) {
    AppendAll(item, name, collector);
  } else if (HasRuleKeys(item)) {
    RuleItem rule;
    rule.name = name;
    rule.context = item.context();
    Define(item, std::move(rule), collector);
  } else {
    const bool enabled = item.Bool("enabled");
    if (messages.failed()) return;
    messages.Warn(LoadWarning::kDeprecatedItem, "enabled alone is given up: write it with override: {enabled: replace}",
                  item.context());
    collector.Enable(name, enabled, item.context(), messages);
  }
  if (!messages.failed()) item.WarnUnknownKeys(kKeys);
}

}  // namespace sluice::policy::rules
