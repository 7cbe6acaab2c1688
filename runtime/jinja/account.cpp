#include "runtime/jinja/account.h"

namespace llamajit::jinja {
namespace {

// An allocator that carried its account would have to be handed to every container of every function.
thread_local Account* account_of_thread = nullptr;

}  // namespace

Account* Account::current() {
  return account_of_thread;
}

void Account::take_current(std::size_t bytes) {
  if (account_of_thread != nullptr) account_of_thread->take(bytes);
}

// What was taken before the rendering began may be given back within: it never counted.
void Account::give_back_current(std::size_t bytes) noexcept {
  if (account_of_thread != nullptr) account_of_thread->live_ -= std::min(bytes, account_of_thread->live_);
}

Account::Use::Use(Account& account) : before_(std::exchange(account_of_thread, &account)) {}

Account::Use::~Use() {
  account_of_thread = before_;
}

}  // namespace llamajit::jinja
