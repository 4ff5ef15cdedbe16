#include "policy/rules/reader.h"

#include <fmt/format.h>

#include <charconv>

#include "base/printable.h"
#include "policy/rules/lexer.h"
#include "policy/rules/read_rule.h"

namespace sluice::policy::rules {
namespace {

// What conditions can use: a list's name is found in their text, a macro's is read as a word of it.
bool IsListName(std::string_view name) {
  const auto bare = Lexer(name).TakeBareText();
  return bare && bare->size() == name.size();
}
bool IsMacroName(std::string_view name) {
  const auto identifier = Lexer(name).TakeIdentifier();
  return identifier && identifier->size() == name.size();
}

// A whole number N stands for 0.N.0.
std::optional<Version> EngineVersion(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return Version{.minor = number};
  return ParseVersion(text);
}

class FileReader {
 public:
  FileReader(Collector& collector, LoadMessages& messages) : collector_(collector), messages_(messages) {}

  void ReadDocument(const YamlNode& root, const Context& file) {
    if (messages_.failed() || root.type == YamlNode::Type::kNull) return;
    if (root.type != YamlNode::Type::kSequence) {
      return messages_.Fail(LoadError::kYamlValidate, "a rules file is a list of rules, macros and lists",
                            file.Inside("rules content", "", root.place));
    }
    for (const auto& item : root.items) {
      if (messages_.failed()) return;
      if (item->type != YamlNode::Type::kNull) ReadItem(*item, file);
    }
  }

 private:
  void ReadItem(const YamlNode& node, const Context& file) {
    const Context context = file.Inside("rules content item", "", node.place);
    if (node.type != YamlNode::Type::kMap) {
      return messages_.Fail(LoadError::kYamlValidate, "an item is a map, with the key rule, macro or list", context);
    }
    if (node.Find("required_engine_version") != nullptr) return ReadEngineVersion(node, file);
    if (node.Find("required_plugin_versions") != nullptr) return ReadPluginVersions(node, file);
    if (node.Find("list") != nullptr) return ReadList(node, file);
    if (node.Find("macro") != nullptr) return ReadMacro(node, file);
    if (node.Find("rule") != nullptr) return ReadRule(node, file, collector_, messages_);
    messages_.Warn(LoadWarning::kUnknownItem, "the item is ignored: it is no rule, macro, list or version", context);
  }

  void ReadEngineVersion(const YamlNode& node, const Context& file) {
    const ItemReader item(messages_, node, file.Inside("required_engine_version", "", node.place));
    const std::string text = item.Text("required_engine_version");
    if (messages_.failed()) return;
    const auto version = EngineVersion(text);
    if (!version) {
      return item.FailAt("required_engine_version",
                         fmt::format("{} is no version: write 13 or 0.57.0", PrintableWord(text)));
    }
    collector_.Require(*version, item.context(), messages_);
    item.WarnUnknownKeys({"required_engine_version"});
  }

  void ReadPluginVersions(const YamlNode& node, const Context& file) {
    const YamlNode& list = *node.Find("required_plugin_versions");
    const Context context = file.Inside("required plugin versions", "", list.place);
    if (list.type != YamlNode::Type::kSequence) {
      return messages_.Fail(LoadError::kYamlValidate, "required_plugin_versions is a list", context);
    }
    for (const auto& plugin : list.items) ReadPlugin(*plugin, context);
    ItemReader(messages_, node, file.Inside("required plugin versions", "", node.place))
        .WarnUnknownKeys({"required_plugin_versions"});
  }

  PluginNeed ReadNeed(const YamlNode& node, const Context& context) {
    if (node.type != YamlNode::Type::kMap) {
      messages_.Fail(LoadError::kYamlValidate, "a plugin is a map with name and version", context);
      return {};
    }
    const ItemReader item(messages_, node, context);
    return {.name = item.Text("name"), .version = item.Text("version")};
  }

  void ReadPlugin(const YamlNode& node, const Context& parent) {
    const Context context = parent.Inside("required plugin versions entry", "", node.place);
    std::vector<PluginNeed> needs = {ReadNeed(node, context)};
    const YamlNode* const alternatives = node.Find("alternatives");
    if (alternatives != nullptr) {
      if (alternatives->type != YamlNode::Type::kSequence) {
        return messages_.Fail(LoadError::kYamlValidate, "alternatives is a list", context);
      }
      for (const auto& one : alternatives->items) {
        needs.push_back(ReadNeed(*one, context.Inside("required plugin versions alternative", "", one->place)));
      }
    }
    if (!messages_.failed()) collector_.Require(needs, context, messages_);
  }

  void ReadList(const YamlNode& node, const Context& file) {
    ListItem list;
    list.name = ItemReader(messages_, node, file.Inside("list", "", node.place)).Text("list");
    const ItemReader item(messages_, node, file.Inside("list", list.name, node.place));
    list.context = item.context();
    if (!messages_.failed() && !IsListName(list.name)) {
      messages_.Warn(LoadWarning::kInvalidListName,
                     "conditions cannot use a list with blanks, quotes, commas, parentheses or = in its name",
                     item.context());
    }
    list.items = item.Texts("items");
    const bool append = IsAppend(item, "items");
    if (messages_.failed()) return;
    if (append) {
      collector_.Append(list, messages_);
    } else {
      collector_.Define(std::move(list));
    }
    item.WarnUnknownKeys({"list", "items", "append", "override"});
  }

  void ReadMacro(const YamlNode& node, const Context& file) {
    MacroItem macro;
    macro.name = ItemReader(messages_, node, file.Inside("macro", "", node.place)).Text("macro");
    const ItemReader item(messages_, node, file.Inside("macro", macro.name, node.place));
    macro.context = item.context();
    if (!messages_.failed() && !IsMacroName(macro.name)) {
      messages_.Warn(LoadWarning::kInvalidMacroName,
                     "conditions cannot use a macro whose name is not a letter, then letters, digits and _",
                     item.context());
    }
    macro.condition = item.Text("condition");
    macro.condition_context = item.context().Inside("macro condition", "", item.ValueContext("condition").place());
    const bool append = IsAppend(item, "condition");
    if (messages_.failed()) return;
    if (append) {
      collector_.Append(macro, messages_);
    } else {
      collector_.Define(std::move(macro));
    }
    item.WarnUnknownKeys({"macro", "condition", "append", "override"});
  }

  // Lists and macros have one key that may be appended to or replaced; replacing is defining anew.
  static bool IsAppend(const ItemReader& item, std::string_view key) {
    const Overrides overrides = ReadOverrides(item, {key}, {key});
    return ReadAppend(item, overrides) || overrides.appended.contains(std::string(key));
  }

  Collector& collector_;
  LoadMessages& messages_;
};

}  // namespace

void ReadRulesFile(const std::string& file, std::string_view text, Collector& collector, LoadMessages& messages) {
  const Context whole{.file = file, .locations = {{.type = "rules content", .name = "", .place = {}}}};
  if (text.size() > kMaxRulesFileBytes) {
    return messages.Fail(LoadError::kYamlParse,
                         fmt::format("the file has {} bytes: at most {} are possible", text.size(), kMaxRulesFileBytes),
                         whole);
  }
  FileReader reader(collector, messages);
  const auto error = ParseYaml(text, [&](const YamlNode& root, int) { reader.ReadDocument(root, whole); });
  if (error) messages.Fail(LoadError::kYamlParse, error->what, whole.Inside("value for", "", error->place));
}

}  // namespace sluice::policy::rules
