//! Conditions and loops: what has an `end`.

use super::{Parser, Place};
use crate::{Error, Expression, Spanned};

impl Parser<'_> {
    pub fn condition(&mut self, begin: Place) -> Result<Spanned, Error> {
        self.take("if");
        let mut branches = Vec::new();
        loop {
            let condition = self.expression()?;
            self.expect("}}")?;
            branches.push((condition, self.expression()?));
            self.expect("{{")?;
            self.space();
            if self.comes("elif") {
                self.take("elif");
                continue;
            }
            self.expect("else")?;
            self.expect("}}")?;
            let otherwise = self.expression()?;
            self.end()?;
            return Ok(self.spanned(begin, Expression::If(branches, Box::new(otherwise))));
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.expect("{{")?;
        self.expect("end")?;
        self.expect("}}")
    }

    pub fn range(&mut self, begin: Place) -> Result<Spanned, Error> {
        self.take("range");
        let index = self.name()?;
        self.expect(",")?;
        let item = self.name()?;
        self.expect(":=")?;
        let over = Box::new(self.expression()?);
        self.expect("}}")?;
        let body = Box::new(self.expression()?);
        self.end()?;
        let index = Some(index).filter(|index| index != "_");
        let range = Expression::Range {
            index,
            item,
            over,
            body,
        };
        Ok(self.spanned(begin, range))
    }
}
