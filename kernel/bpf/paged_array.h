// Typed access to an array whose memory comes in pages (map_pages.h): as Map<std::uint32_t, V>, by the number of the
// element in all pages together.
#pragma once

#include <algorithm>
#include <vector>

#include "kernel/bpf/map.h"
#include "kernel/bpf/map_pages.h"

namespace sluice::bpf {

template <typename V>
class PagedArray {
 public:
  PagedArray() = default;

  // `pages` must outlive it. InvalidArgument if V has not the size of the kernel's elements.
  static StatusOr<PagedArray> Bind(MapPages* pages) {
    if (pages->shape().value_size != sizeof(V))
      return InvalidError("map {}: an element has {} bytes, expected {}", pages->name(), pages->shape().value_size,
                          sizeof(V));
    return PagedArray(pages);
  }

  // Makes the page if there is none yet.
  Status Put(std::uint32_t at, const V& value) const {
    SL_ASSIGN_OR_RETURN(const auto rows, Rows(at / rows_of_page()));
    return rows.Put(at % rows_of_page(), value);
  }

  // At `first` and what follows.
  Status PutAll(std::uint32_t first, const std::vector<V>& values) const {
    for (std::size_t done = 0; done < values.size();) {
      const auto at = first + static_cast<std::uint32_t>(done);
      const std::size_t count = std::min<std::size_t>(values.size() - done, rows_of_page() - at % rows_of_page());
      std::vector<std::uint32_t> keys(count);
      for (std::size_t i = 0; i < count; ++i) keys[i] = at % rows_of_page() + static_cast<std::uint32_t>(i);
      SL_ASSIGN_OR_RETURN(const auto rows, Rows(at / rows_of_page()));
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(done);
      SL_RETURN_IF_ERROR(rows.PutAll(keys, std::vector<V>(begin, begin + static_cast<std::ptrdiff_t>(count))));
      done += count;
    }
    return OkStatus();
  }

  // Absent: its page is not made.
  StatusOr<std::optional<V>> Get(std::uint32_t at) const {
    const int fd = pages_->page_fd(at / rows_of_page());
    if (fd < 0) return std::optional<V>();
    SL_ASSIGN_OR_RETURN(const auto rows, (Map<std::uint32_t, V>::Bind(fd, pages_->name())));
    return rows.Get(at % rows_of_page());
  }

 private:
  explicit PagedArray(MapPages* pages) : pages_(pages) {}
  std::uint32_t rows_of_page() const { return pages_->shape().entries; }
  StatusOr<Map<std::uint32_t, V>> Rows(std::uint32_t page) const {
    SL_ASSIGN_OR_RETURN(const int fd, pages_->Make(page));
    return Map<std::uint32_t, V>::Bind(fd, pages_->name());
  }

  MapPages* pages_ = nullptr;
};

}  // namespace sluice::bpf
