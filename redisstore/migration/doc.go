// Package migration has programs that were written for gin-contrib's redis store, and their tests: they answer with this
// one as before. It is a module of its own, because that store brings a second client of Redis along.
package migration
