#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"
#include "policy/rules/read_rule.h"

namespace sluice::policy::rules {
namespace {

constexpr int kMaxEntryDepth = 8;

// A text, or a list of texts and lists.
ExceptionEntry ReadEntry(const YamlNode& node, const Context& context, LoadMessages& messages, int depth = 0) {
  ExceptionEntry entry;
  switch (node.type) {
    case YamlNode::Type::kScalar:
      entry.text = node.scalar;
      if (entry.text.empty()) messages.Fail(LoadError::kYamlValidate, "the value is empty", context);
      break;
    case YamlNode::Type::kSequence:
      entry.is_list = true;
      if (depth == kMaxEntryDepth) {
        messages.Fail(LoadError::kYamlValidate, "lists in lists are nested too deeply", context);
        break;
      }
      for (const auto& item : node.items) {
        entry.items.push_back(ReadEntry(*item, context.Inside("exception", "", item->place), messages, depth + 1));
      }
      break;
    default:
      messages.Fail(LoadError::kYamlValidate, "a text or a list should be here", context);
  }
  return entry;
}

void ReadValues(const ItemReader& item, Exception& exception, bool append) {
  LoadMessages& messages = item.messages();
  const YamlNode* const values = item.Find("values");
  if (values == nullptr) {
    if (append) messages.Warn(LoadWarning::kAppendNoValues, "the exception has no values to append", exception.context);
    return;
  }
  const Context context = exception.context.Inside("exception values", "", values->place);
  if (values->type != YamlNode::Type::kSequence) {
    return messages.Fail(LoadError::kYamlValidate, "values is a list", context);
  }
  for (const auto& value : values->items) {
    exception.values.push_back(ReadEntry(*value, context.Inside("exception value", "", value->place), messages));
  }
}

Exception ReadException(const ItemReader& item, const Context& rule, bool append) {
  Exception exception;
  exception.name = item.Text("name");
  exception.context = rule.Inside("exception", exception.name, item.node().place);
  const YamlNode* const fields = item.Find("fields");
  if (fields != nullptr) {
    exception.fields = ReadEntry(*fields, item.ValueContext("fields"), item.messages());
  } else if (!append) {
    item.Fail("the key fields is missing");
  }
  if (const YamlNode* const operators = item.Find("comps")) {
    exception.operators = ReadEntry(*operators, item.ValueContext("comps"), item.messages());
  }
  ReadValues(item, exception, append);
  return exception;
}

}  // namespace

std::vector<Exception> ReadExceptions(const ItemReader& rule, bool append) {
  std::vector<Exception> exceptions;
  const YamlNode* const list = rule.Find("exceptions");
  if (list == nullptr || list->type == YamlNode::Type::kNull) return exceptions;
  LoadMessages& messages = rule.messages();
  const Context context = rule.context().Inside("exceptions", "", list->place);
  if (list->type != YamlNode::Type::kSequence) {
    messages.Fail(LoadError::kYamlValidate, "exceptions is a list", context);
    return exceptions;
  }
  for (const auto& node : list->items) {
    const Context place = context.Inside("exception", "", node->place);
    if (node->type != YamlNode::Type::kMap) {
      messages.Fail(LoadError::kYamlValidate, "an exception is a map with name, fields and values", place);
      return exceptions;
    }
    Exception exception = ReadException(ItemReader(messages, *node, place), rule.context(), append);
    if (messages.failed()) return exceptions;
    const bool twice = std::any_of(exceptions.begin(), exceptions.end(),
                                   [&](const Exception& one) { return one.name == exception.name; });
    if (twice) {
      messages.Warn(LoadWarning::kExceptionNotUnique,
                    fmt::format("the rule has exception {} twice", PrintableWord(exception.name)), exception.context);
    }
    exceptions.push_back(std::move(exception));
  }
  return exceptions;
}

}  // namespace sluice::policy::rules
