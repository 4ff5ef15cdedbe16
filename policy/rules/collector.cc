#include "policy/rules/collector.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"
#include "policy/rules/exceptions.h"

namespace sluice::policy::rules {
namespace {

// Of Falco 0.44, whose rules files this loader reads.
constexpr Version kEngine = {.major = 0, .minor = 63, .patch = 0};

// What is built in and a plugin in Falco, as of the plugin's version whose fields are here.
struct ProvidedPlugin {
  std::string_view name;
  Version version;
};
constexpr std::array kProvided = {ProvidedPlugin{"container", {.major = 0, .minor = 7, .patch = 1}}};

bool IsProvided(const PluginNeed& need, const Version& version) {
  return std::any_of(kProvided.begin(), kProvided.end(), [&](const ProvidedPlugin& plugin) {
    return plugin.name == need.name && plugin.version.Serves(version);
  });
}

}  // namespace

bool IsKnownSource(std::string_view source) { return source == "syscall"; }

void Collector::Require(const Version& engine, const Context& context, LoadMessages& messages) {
  if (kEngine.Serves(engine)) return;
  messages.Fail(LoadError::kValidate,
                fmt::format("the rules need engine version {}: this is {}", engine.ToString(), kEngine.ToString()),
                context);
}

void Collector::Require(const std::vector<PluginNeed>& alternatives, const Context& context, LoadMessages& messages) {
  std::string all;
  std::vector<std::string_view> names;
  bool provided = false;
  for (const PluginNeed& need : alternatives) {
    const auto version = ParseVersion(need.version);
    if (!version) {
      return messages.Fail(
          LoadError::kValidate,
          fmt::format("plugin {}: {} is no version such as 1.2.3", need.name, PrintableWord(need.version)), context);
    }
    if (std::find(names.begin(), names.end(), need.name) != names.end()) {
      return messages.Fail(LoadError::kValidate, fmt::format("plugin {} is named twice", need.name), context);
    }
    names.push_back(need.name);
    provided = provided || IsProvided(need, *version);
    all += fmt::format("{}{} {}", all.empty() ? "" : " or ", need.name, need.version);
  }
  if (provided) return;
  messages.Fail(LoadError::kValidate,
                fmt::format("the rules need plugin {}: there are no plugins here, but the fields of container {}", all,
                            kProvided.front().version.ToString()),
                context);
}

void Collector::Define(RuleItem item, LoadMessages& messages) {
  if (const auto* const earlier = rules_.Find(item.name); earlier != nullptr && earlier->item.source != item.source) {
    return messages.Fail(LoadError::kValidate,
                         fmt::format("the rule was defined for source {} before", earlier->item.source), item.context);
  }
  const bool known = IsKnownSource(item.source);
  if (!known) {
    messages.Warn(LoadWarning::kUnknownSource,
                  fmt::format("unknown source {}: the rule is left out", PrintableWord(item.source)), item.context);
  }
  for (Exception& exception : item.exceptions) {
    if (!exception.fields.is_there()) {
      return messages.Fail(LoadError::kValidate, fmt::format("exception {} has no fields", exception.name),
                           exception.context);
    }
    CompleteException(exception, known, messages);
  }
  if (!messages.failed()) rules_.Define(std::move(item), next_++);
}

void Collector::Append(const ListItem& item, LoadMessages& messages) {
  auto* const earlier = lists_.Find(item.name);
  if (earlier == nullptr) {
    return messages.Fail(LoadError::kValidate, "there is no list of this name before, to append to", item.context);
  }
  earlier->item.items.insert(earlier->item.items.end(), item.items.begin(), item.items.end());
  earlier->last_order = next_++;
}

void Collector::Append(const MacroItem& item, LoadMessages& messages) {
  auto* const earlier = macros_.Find(item.name);
  if (earlier == nullptr) {
    return messages.Fail(LoadError::kValidate, "there is no macro of this name before, to append to", item.context);
  }
  earlier->item.condition += " " + item.condition;
  earlier->last_order = next_++;
}

Collected<RuleItem>* Collector::FindForUpdate(const RuleUpdate& update, std::string_view what, LoadMessages& messages) {
  auto* const earlier = rules_.Find(update.name);
  if (earlier == nullptr) {
    messages.Fail(LoadError::kValidate, fmt::format("there is no rule of this name before, to {}", what),
                  update.context);
    return nullptr;
  }
  if (!update.source.empty() && update.source != earlier->item.source) {
    messages.Fail(LoadError::kValidate, fmt::format("the rule was defined for source {} before", earlier->item.source),
                  update.context);
    return nullptr;
  }
  if (update.IsEmpty()) {
    messages.Fail(LoadError::kValidate, fmt::format("there is nothing to {}", what), update.context);
    return nullptr;
  }
  return earlier;
}

void Collector::Append(const RuleUpdate& update, LoadMessages& messages) {
  auto* const earlier = FindForUpdate(update, "append to it", messages);
  if (earlier == nullptr) return;
  RuleItem& rule = earlier->item;
  const auto append = [](std::string& text, const std::optional<std::string>& more) {
    if (more && !more->empty()) text += " " + *more;
  };
  append(rule.condition, update.condition);
  append(rule.output, update.output);
  append(rule.description, update.description);
  if (update.tags) rule.tags.insert(update.tags->begin(), update.tags->end());
  for (Exception exception : update.exceptions.value_or(std::vector<Exception>())) {
    const auto known = std::find_if(rule.exceptions.begin(), rule.exceptions.end(),
                                    [&](const Exception& one) { return one.name == exception.name; });
    const auto fail = [&](std::string_view what) {
      messages.Fail(LoadError::kValidate, fmt::format("exception {} {}", PrintableWord(exception.name), what),
                    exception.context);
    };
    if (known == rule.exceptions.end()) {
      if (!exception.fields.is_there()) return fail("is new: it needs fields");
      if (exception.values.empty()) return fail("is new: it needs values");
      CompleteException(exception, IsKnownSource(rule.source), messages);
      rule.exceptions.push_back(std::move(exception));
      continue;
    }
    if (exception.fields.is_there()) return fail("has fields already: only values can be appended");
    if (exception.operators.is_there()) return fail("has comps already: only values can be appended");
    known->values.insert(known->values.end(), exception.values.begin(), exception.values.end());
  }
  earlier->last_order = next_++;
}

void Collector::Replace(const RuleUpdate& update, LoadMessages& messages) {
  auto* const earlier = FindForUpdate(update, "replace in it", messages);
  if (earlier == nullptr) return;
  RuleItem& rule = earlier->item;
  const auto replace = [](auto& value, const auto& by) {
    if (by) value = *by;
  };
  replace(rule.condition, update.condition);
  replace(rule.output, update.output);
  replace(rule.description, update.description);
  replace(rule.priority, update.priority);
  replace(rule.enabled, update.enabled);
  replace(rule.capture, update.capture);
  replace(rule.capture_ms, update.capture_ms);
  replace(rule.warn_event_types, update.warn_event_types);
  replace(rule.skip_if_unknown, update.skip_if_unknown);
  replace(rule.tags, update.tags);
  if (update.condition) rule.condition_context = update.condition_context;
  if (update.output) rule.output_context = update.output_context;
  if (update.exceptions) {
    rule.exceptions = *update.exceptions;
    for (Exception& exception : rule.exceptions) CompleteException(exception, IsKnownSource(rule.source), messages);
  }
  earlier->last_order = next_++;
}

void Collector::Enable(const std::string& name, bool enabled, const Context& context, LoadMessages& messages) {
  auto* const earlier = rules_.Find(name);
  if (earlier == nullptr) {
    return messages.Fail(LoadError::kValidate, "there is no rule of this name before, to enable or disable", context);
  }
  earlier->item.enabled = enabled;
}

}  // namespace sluice::policy::rules
