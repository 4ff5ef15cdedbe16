// YAML and JSON text -> plain trees: the adapter of yaml-cpp, and its only user. JSON text is read by JSON's rules
// (policy/resource/json.h): several values in a row are several documents, and "\ud83d\ude00" is one character.
//
// Stricter than yaml-cpp: duplicate keys, keys that are not strings, aliases inside their own value, tags that are not
// of strings or collections, and text that is not printable UTF-8 are errors. Aliases and merge keys ("<<") are
// expanded by sharing, and the size after expansion is bounded, so that a small text cannot become a large tree.
// Trees are immutable and may be shared between threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::policy {

inline constexpr std::size_t kMaxYamlDepth = 40;
inline constexpr std::size_t kMaxYamlKeyBytes = 500;
// Brackets, braces and commas of one document, including those in strings and comments: about 6,000 pods of
// `kubectl get -o json`. yaml-cpp keeps a whole flow-style collection as tokens (230 bytes each, two for each brace)
// before it reports the first one.
inline constexpr std::size_t kMaxYamlFlowIndicators = 2'000'000;
// These two: sums over all documents of one text, after aliases are expanded.
inline constexpr std::size_t kMaxYamlNodes = 4'000'000;
inline constexpr std::size_t kMaxYamlScalarBytes = 128U << 20U;

struct Place {
  int line = 0;    // from 1
  int column = 0;  // from 1, in bytes
};

struct YamlNode {
  enum class Type { kNull, kScalar, kSequence, kMap };
  struct Entry {
    std::string key;
    Place place;
    std::shared_ptr<const YamlNode> value;
  };

  Type type = Type::kNull;
  bool quoted = false;  // the scalar is a string even if it looks like a number
  Place place;
  std::string scalar;
  std::vector<std::shared_ptr<const YamlNode>> items;
  std::vector<Entry> entries;  // in the order of the text; keys are unique
  std::size_t expanded_nodes = 1;
  std::size_t expanded_bytes = 0;

  const YamlNode* Find(std::string_view key) const;  // null: absent, or this is not a map
};

struct TextError {
  Place place;  // line 0: the text as a whole
  std::string what;
};

// `number` counts the documents of the text from 1.
using YamlVisitor = std::function<void(const YamlNode& root, int number)>;

// Calls `visit` for every document that is not empty, up to the first error. With `duplicates`, a key that a map has
// twice is no error: the last one counts, as in Kubernetes, and each of the others is noted there before the document
// is visited. JSON text has no such exception.
std::optional<TextError> ParseYaml(std::string_view text, const YamlVisitor& visit,
                                   std::vector<TextError>* duplicates = nullptr);

// The first check of ParseYaml. Empty when all of `text` is printable UTF-8.
std::optional<TextError> FindBadCharacter(std::string_view text);
// The same check as a status, "origin:LINE: what", for text that must be valid before it goes elsewhere.
Status CheckCharacters(std::string_view origin, std::string_view text);

}  // namespace sluice::policy
