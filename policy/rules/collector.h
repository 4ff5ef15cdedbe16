// The items of all files that were read, put together: what a later item defines anew, adds or replaces. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy/rules/items.h"
#include "policy/rules/read_values.h"

namespace sluice::policy::rules {

// What is collected of a name, and its places among all items: conditions of macros see only what is before them.
template <typename Item>
struct Collected {
  Item item;
  std::size_t order = 0;
  std::size_t last_order = 0;
};

// Items by their names, in the order of their first definitions.
template <typename Item>
class Collection {
 public:
  Collected<Item>* Find(const std::string& name) {
    const auto at = places_.find(name);
    return at == places_.end() ? nullptr : &items_[at->second];
  }
  // In the place of the earlier item with its name, if there is one.
  void Define(Item item, std::size_t order) {
    if (Collected<Item>* const earlier = Find(item.name)) {
      *earlier = {.item = std::move(item), .order = earlier->order, .last_order = order};
      return;
    }
    places_[item.name] = items_.size();
    items_.push_back({.item = std::move(item), .order = order, .last_order = order});
  }
  const std::vector<Collected<Item>>& all() const { return items_; }

 private:
  std::vector<Collected<Item>> items_;
  std::map<std::string, std::size_t> places_;
};

// Each function may fail: see LoadMessages.
class Collector {
 public:
  void Require(const Version& engine, const Context& context, LoadMessages& messages);
  // One of `alternatives` must be there.
  void Require(const std::vector<PluginNeed>& alternatives, const Context& context, LoadMessages& messages);
  void Define(ListItem item) { lists_.Define(std::move(item), next_++); }
  void Define(MacroItem item) { macros_.Define(std::move(item), next_++); }
  void Define(RuleItem item, LoadMessages& messages);
  void Append(const ListItem& item, LoadMessages& messages);
  void Append(const MacroItem& item, LoadMessages& messages);
  void Append(const RuleUpdate& update, LoadMessages& messages);
  void Replace(const RuleUpdate& update, LoadMessages& messages);
  void Enable(const std::string& name, bool enabled, const Context& context, LoadMessages& messages);

  const Collection<ListItem>& lists() const { return lists_; }
  const Collection<MacroItem>& macros() const { return macros_; }
  const Collection<RuleItem>& rules() const { return rules_; }

 private:
  Collected<RuleItem>* FindForUpdate(const RuleUpdate& update, std::string_view what, LoadMessages& messages);

  Collection<ListItem> lists_;
  Collection<MacroItem> macros_;
  Collection<RuleItem> rules_;
  std::size_t next_ = 0;
};

// Whether rules for events of this source can be evaluated.
bool IsKnownSource(std::string_view source);

}  // namespace sluice::policy::rules
