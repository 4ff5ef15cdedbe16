// The known objects of one resource. For one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "ctrl/kube/sink.h"

namespace sluice::kube {

class Store {
 public:
  struct Entry {
    std::string uid;
    std::string resource_version;
    bool refused = false;  // this version was refused; an earlier one may be in force
  };

  std::size_t size() const { return entries_.size(); }
  std::size_t refused() const { return refused_; }
  // This version of the object is known, so that it need not be converted.
  bool Knows(const ObjectMeta& meta) const;

  // An object of a watch. Adds to `changes` what it changes. `value`: of Sink::Convert.
  void Put(const ObjectMeta& meta, StatusOr<Converted> value, std::vector<Change>& changes);
  // Nothing when it is not known, or known with another uid.
  void Remove(const ObjectMeta& meta, std::vector<Change>& changes);

  // A list, page by page.
  struct List {
    std::set<ObjectKey> keys;  // of all its objects
    struct Changed {
      ObjectMeta meta;
      StatusOr<Converted> value;
    };
    std::vector<Changed> changed;  // those that are not known as they are
  };
  // The whole list: what is not in it is deleted.
  std::vector<Change> Replace(List list);

 private:
  void Erase(std::map<ObjectKey, Entry>::iterator at, std::vector<Change>& changes);

  std::map<ObjectKey, Entry> entries_;
  std::size_t refused_ = 0;
};

}  // namespace sluice::kube
