// Values of keys of rules files. For the reader of this directory: after the first problem, `error` is set, and what
// was read before it is of no use.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/rules/load_result.h"

namespace sluice::policy::rules {

// Where errors and warnings of one file go.
class LoadMessages {
 public:
  LoadMessages(LoadResult& result, std::string_view text) : result_(result), text_(text) {}

  bool failed() const { return !result_.errors.empty(); }
  // The first error counts.
  void Fail(LoadError code, std::string what, const Context& context, std::string snippet = "");
  void Warn(LoadWarning code, std::string what, const Context& context, std::string snippet = "");

 private:
  std::string Snippet(const Context& context, std::string snippet) const;

  LoadResult& result_;
  std::string_view text_;  // of the file that is loaded; places of other files have no snippet
};

// An item of a file, or a part of one: its keys.
class ItemReader {
 public:
  ItemReader(LoadMessages& messages, const YamlNode& node, Context context)
      : messages_(&messages), node_(&node), context_(std::move(context)) {}

  const Context& context() const { return context_; }
  const YamlNode& node() const { return *node_; }
  LoadMessages& messages() const { return *messages_; }
  bool Has(std::string_view key) const { return node_->Find(key) != nullptr; }
  const YamlNode* Find(std::string_view key) const { return node_->Find(key); }
  // The way to the value of a key.
  Context ValueContext(std::string_view key) const;
  void Fail(std::string what) const { messages_->Fail(LoadError::kYamlValidate, std::move(what), context_); }
  void FailAt(std::string_view key, std::string what) const;

  // A text that must be there and not empty.
  std::string Text(std::string_view key) const;
  bool Bool(std::string_view key) const;
  std::uint32_t Number(std::string_view key) const;
  // The items of a list of scalars that must be there.
  std::vector<std::string> Texts(std::string_view key) const;

  void WarnUnknownKeys(const std::set<std::string_view>& known) const;

 private:
  LoadMessages* messages_;
  const YamlNode* node_;
  Context context_;
};

}  // namespace sluice::policy::rules
